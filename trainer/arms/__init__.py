"""The competitors: prompts, retrieval, generation, scores, forgetting."""
