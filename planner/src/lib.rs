//! Everything that needs a vectorised plan: DataFusion.
