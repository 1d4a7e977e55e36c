"""Cameras behind one interface: RealSense, webcams, video files, GoPro files, and footage that is played back."""
