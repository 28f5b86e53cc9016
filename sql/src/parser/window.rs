//! Window definitions and frames, and sort clauses.

use aegis_types::{SqlError, SqlResult, SqlState};

use super::keyword::Keyword as Kw;
use super::stream::TokenStream;
use crate::ast::{
    FrameBound, FrameExclusion, FrameMode, SortBy, SortDirection, SortNulls, WindowDef, WindowFrame,
};

impl TokenStream<'_> {
    /// What follows `OVER`: a name or a definition.
    pub(super) fn over_window(&mut self) -> SqlResult<WindowDef> {
        let location = self.location();
        if self.at_char('(') {
            return self.window_specification();
        }
        let name = self.col_id()?;
        Ok(WindowDef {
            name: Some(name),
            refname: None,
            partition: Vec::new(),
            order: Vec::new(),
            frame: None,
            location,
        })
    }

    /// `WINDOW name AS (…), …`, or nothing.
    pub(super) fn opt_window_clause(&mut self) -> SqlResult<Vec<WindowDef>> {
        if !self.eat(Kw::Window) {
            return Ok(Vec::new());
        }
        self.comma_list(|stream| {
            let name = stream.col_id()?;
            stream.expect(Kw::As)?;
            let mut window = stream.window_specification()?;
            window.name = Some(name);
            Ok(window)
        })
    }

    fn window_specification(&mut self) -> SqlResult<WindowDef> {
        let location = self.location();
        self.expect_char('(')?;
        let clause = self.at_any(&[Kw::Partition, Kw::Range, Kw::Rows, Kw::Groups]);
        let refname = if !clause && self.col_id_ahead(0) { Some(self.col_id()?) } else { None };
        let partition = if self.eat(Kw::Partition) {
            self.expect(Kw::By)?;
            self.expr_list()?
        } else {
            Vec::new()
        };
        let order = if self.at(Kw::Order) { self.sort_clause()? } else { Vec::new() };
        let mode = match self.keyword() {
            Some(Kw::Range) => Some(FrameMode::Range),
            Some(Kw::Rows) => Some(FrameMode::Rows),
            Some(Kw::Groups) => Some(FrameMode::Groups),
            _ => None,
        };
        let frame = match mode {
            Some(mode) => {
                self.skip();
                Some(self.frame(mode)?)
            }
            None => None,
        };
        self.expect_char(')')?;
        Ok(WindowDef { name: None, refname, partition, order, frame, location })
    }

    /// The extent of a frame, whose mode is consumed. What no bounds can mean is refused here.
    fn frame(&mut self, mode: FrameMode) -> SqlResult<WindowFrame> {
        let between = self.eat(Kw::Between);
        let start_location = self.location();
        let start = self.frame_bound()?;
        let (end, end_location) = if between {
            self.expect(Kw::And)?;
            let location = self.location();
            (self.frame_bound()?, location)
        } else {
            (FrameBound::CurrentRow, start_location)
        };
        use FrameBound::{
            CurrentRow, Following, Preceding, UnboundedFollowing, UnboundedPreceding,
        };
        let refused = match (&start, &end) {
            (UnboundedFollowing, _) => {
                Some(("frame start cannot be UNBOUNDED FOLLOWING", start_location))
            }
            (Following(_), _) if !between => Some((
                "frame starting from following row cannot end with current row",
                start_location,
            )),
            (_, UnboundedPreceding) => {
                Some(("frame end cannot be UNBOUNDED PRECEDING", end_location))
            }
            (CurrentRow, Preceding(_)) => {
                Some(("frame starting from current row cannot have preceding rows", end_location))
            }
            (Following(_), Preceding(_) | CurrentRow) => {
                Some(("frame starting from following row cannot have preceding rows", end_location))
            }
            _ => None,
        };
        if let Some((message, location)) = refused {
            return Err(SqlError::new(SqlState::WindowingError, message).at(location));
        }
        let exclusion = self.frame_exclusion()?;
        Ok(WindowFrame { mode, start, end, between, exclusion })
    }

    fn frame_bound(&mut self) -> SqlResult<FrameBound> {
        if self.at(Kw::Unbounded) && self.at_ahead(1, Kw::Preceding) {
            self.skip();
            self.skip();
            return Ok(FrameBound::UnboundedPreceding);
        }
        if self.at(Kw::Unbounded) && self.at_ahead(1, Kw::Following) {
            self.skip();
            self.skip();
            return Ok(FrameBound::UnboundedFollowing);
        }
        if self.eat_sequence(&[Kw::Current, Kw::Row]) {
            return Ok(FrameBound::CurrentRow);
        }
        let offset = Box::new(self.expr()?);
        if self.eat(Kw::Preceding) {
            Ok(FrameBound::Preceding(offset))
        } else {
            self.expect(Kw::Following)?;
            Ok(FrameBound::Following(offset))
        }
    }

    fn frame_exclusion(&mut self) -> SqlResult<FrameExclusion> {
        if !self.eat(Kw::Exclude) {
            return Ok(FrameExclusion::NoOthers);
        }
        let exclusion = match self.keyword() {
            Some(Kw::Current) => {
                self.skip();
                self.expect(Kw::Row)?;
                return Ok(FrameExclusion::CurrentRow);
            }
            Some(Kw::Group) => FrameExclusion::Group,
            Some(Kw::Ties) => FrameExclusion::Ties,
            Some(Kw::No) => {
                self.skip();
                self.expect(Kw::Others)?;
                return Ok(FrameExclusion::NoOthers);
            }
            _ => return Err(self.syntax_error()),
        };
        self.skip();
        Ok(exclusion)
    }

    /// `ORDER BY …`.
    pub(super) fn sort_clause(&mut self) -> SqlResult<Vec<SortBy>> {
        self.expect_sequence(&[Kw::Order, Kw::By])?;
        self.comma_list(Self::sort_by)
    }

    fn sort_by(&mut self) -> SqlResult<SortBy> {
        let node = self.expr()?;
        let mut operator_location = None;
        let direction = match self.keyword() {
            Some(Kw::Using) => {
                self.skip();
                operator_location = Some(self.location());
                SortDirection::Using(self.qualified_all_operator()?)
            }
            _ => self.opt_asc_desc(),
        };
        let nulls = self.opt_nulls_order()?;
        Ok(SortBy { node, direction, nulls, operator_location })
    }

    /// `ASC`, `DESC` or nothing.
    pub(super) fn opt_asc_desc(&mut self) -> SortDirection {
        if self.eat(Kw::Asc) {
            SortDirection::Asc
        } else if self.eat(Kw::Desc) {
            SortDirection::Desc
        } else {
            SortDirection::Default
        }
    }

    /// `NULLS FIRST`, `NULLS LAST` or nothing.
    pub(super) fn opt_nulls_order(&mut self) -> SqlResult<SortNulls> {
        if self.eat_sequence(&[Kw::Nulls, Kw::First]) {
            Ok(SortNulls::First)
        } else if self.eat_sequence(&[Kw::Nulls, Kw::Last]) {
            Ok(SortNulls::Last)
        } else {
            Ok(SortNulls::Default)
        }
    }
}
