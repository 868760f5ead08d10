"""The main job as a story on real parts: a model served, a better one promoted, two bad ones rolled back."""
