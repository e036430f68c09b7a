"""What people read of a run: report.json, report.html and the model card. Runs without torch."""
