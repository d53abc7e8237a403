"""What train.py and predict_video.py share, one module per step of the data flow."""
