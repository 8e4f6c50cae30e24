"""Results of the anti-spoofing thesis (document 001), trained and measured again."""
