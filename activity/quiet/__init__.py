"""Libraries without their chatter: import OpenCV, PyAV, Keras, OpenVINO and NNCF from here."""
