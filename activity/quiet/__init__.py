"""Libraries without their chatter: import OpenCV, Keras, OpenVINO and NNCF from here."""
