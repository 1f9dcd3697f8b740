//! Segmentation and coalescing of super-frames.
