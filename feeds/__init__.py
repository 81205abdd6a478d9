"""Where events come from: recorded logs, headers, pools files."""
