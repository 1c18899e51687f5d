"""What a run keeps of itself: its name, log, folder, and what the last run left.

Public: `run_log.RunLog`, `run_name.run_name`, `run_folder`, `last_runs.LastRuns`.
"""
