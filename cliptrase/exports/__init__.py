"""Label maps in forms that other tools read: run lengths, masks of single words, polygons."""
