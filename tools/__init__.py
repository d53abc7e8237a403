"""Programs that made things which stand in the project: the example clips, pictures in docs/."""
