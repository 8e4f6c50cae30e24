"""Teacher-student distillation: teachers, what a student learns from them, and the training hook."""
