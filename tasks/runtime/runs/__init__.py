"""What a run keeps of itself: its name, log, folder, and what the last run left."""
