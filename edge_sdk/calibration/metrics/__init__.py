"""Error rates of verification and of presentation attack detection (numpy alone)."""
