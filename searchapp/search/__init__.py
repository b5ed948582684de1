"""Search: turn a query into a vector, find the nearest images, judge good matches."""
