"""Names of the files in a run's folder."""

from typing import Final

RECOMMENDATIONS_FILE: Final = "recommendations.parquet"
METRICS_FILE: Final = "metrics.parquet"
PER_USER_FILE: Final = "per_user.parquet"
USERS_FILE: Final = "users.parquet"
CALLS_FILE: Final = "llm_calls.parquet"
REPORT_FILE: Final = "report.html"
SUMMARY_FILE: Final = "summary.json"
