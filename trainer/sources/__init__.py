"""Where base models come from: resolve a revision and its content digest. Runs without torch."""
