//! Parse, bind, evaluate row by row, change data.
