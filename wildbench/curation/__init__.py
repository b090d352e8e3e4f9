"""Labels and detections looked at in FiftyOne, and what is corrected there brought back."""
