"""The programs that draw the example clips."""
