"""TensorRT: the engine, its builder, the cache of what was built, and CUDA memory."""
