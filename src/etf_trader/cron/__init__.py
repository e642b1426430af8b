"""What starts `etf` by itself: a line in the crontab, a lock, and a log of the runs."""
