//! The plan by table: what runs and when on the left, what is done on the right.
