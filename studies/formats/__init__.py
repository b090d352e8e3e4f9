"""Whether what people hold goes in: artifacts of many tools, tried one by one against the tools' own detections."""
