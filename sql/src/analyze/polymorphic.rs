//! What `anyelement`, `anycompatible` and their families stand for in one call (PostgreSQL 15,
//! chapter 38.2.5).

use aegis_types::builtin::CastContext;
use aegis_types::{Oid, SqlError, SqlResult, SqlState, type_oid as t};

use super::Analyzer;
use super::types::is_polymorphic_family2;

/// What the arguments of one call say about each family.
#[derive(Default)]
struct Found {
    element: Option<Oid>,
    array: Option<Oid>,
    range: Option<Oid>,
    multirange: Option<Oid>,
    has_family1: bool,
    wants_nonarray: bool,
    wants_enum: bool,
    compatible: Vec<Oid>,
    compatible_range: Option<Oid>,
    compatible_multirange: Option<Oid>,
    has_family2: bool,
    wants_compatible_nonarray: bool,
}

/// What is wrong with a call's polymorphic arguments.
struct Misfit {
    message: String,
    detail: Option<String>,
    code: SqlState,
}

impl Misfit {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), detail: None, code: SqlState::DatatypeMismatch }
    }

    fn detail(mut self, detail: String) -> Self {
        self.detail = Some(detail);
        self
    }
}

impl From<Misfit> for SqlError {
    fn from(misfit: Misfit) -> Self {
        let error = Self::new(misfit.code, misfit.message);
        match misfit.detail {
            Some(detail) => error.detail(detail),
            None => error,
        }
    }
}

impl Analyzer<'_> {
    /// Whether the arguments' types can be those of such parameters
    /// (`check_generic_type_consistency`).
    pub(super) fn generic_types_fit(&self, actual: &[Oid], declared: &[Oid]) -> bool {
        let Ok(found) = self.collect(actual, declared) else {
            return false;
        };
        self.resolve_family1(&found, false).is_ok() && self.resolve_family2(&found).is_ok()
    }

    /// The result's type; the polymorphic parameters in `declared` become what they stand for
    /// (`enforce_generic_type_consistency`). With `allow_poly` they may stay unresolved.
    pub(super) fn resolve_generic_types(
        &self,
        actual: &[Oid],
        declared: &mut [Oid],
        result: Oid,
    ) -> SqlResult<Oid> {
        let found = self.collect(actual, declared)?;
        let family1 = self.resolve_family1(&found, true)?;
        let family2 = self.resolve_family2(&found)?;
        for (parameter, actual) in declared.iter_mut().zip(actual) {
            *parameter = match *parameter {
                t::ANYELEMENT | t::ANYNONARRAY | t::ANYENUM => family1.unwrap_or(*actual),
                t::ANYARRAY => match (found.array, family1) {
                    (Some(array), _) => array,
                    (None, Some(element)) => self.array_of(element)?,
                    (None, None) => *actual,
                },
                t::ANYRANGE => found.range.unwrap_or(*actual),
                t::ANYMULTIRANGE => found.multirange.unwrap_or(*actual),
                t::ANYCOMPATIBLE | t::ANYCOMPATIBLENONARRAY => family2.unwrap_or(*actual),
                t::ANYCOMPATIBLEARRAY => match family2 {
                    Some(element) => self.array_of(element)?,
                    None => *actual,
                },
                t::ANYCOMPATIBLERANGE => found.compatible_range.unwrap_or(*actual),
                t::ANYCOMPATIBLEMULTIRANGE => found.compatible_multirange.unwrap_or(*actual),
                other => other,
            };
        }
        self.generic_result(result, &found, family1, family2)
    }

    fn generic_result(
        &self,
        result: Oid,
        found: &Found,
        family1: Option<Oid>,
        family2: Option<Oid>,
    ) -> SqlResult<Oid> {
        let undetermined = || {
            SqlError::new(
                SqlState::DatatypeMismatch,
                "could not determine polymorphic type because input has type unknown",
            )
        };
        Ok(match result {
            t::ANYELEMENT | t::ANYNONARRAY | t::ANYENUM => family1.ok_or_else(undetermined)?,
            t::ANYARRAY => match found.array {
                Some(array) => array,
                None => self.array_of(family1.ok_or_else(undetermined)?)?,
            },
            t::ANYRANGE => found
                .range
                .or_else(|| found.multirange.and_then(|oid| self.multirange_range(oid)))
                .ok_or_else(undetermined)?,
            t::ANYMULTIRANGE => found
                .multirange
                .or_else(|| found.range.and_then(|oid| self.range_multirange(oid)))
                .ok_or_else(undetermined)?,
            t::ANYCOMPATIBLE | t::ANYCOMPATIBLENONARRAY => family2.ok_or_else(undetermined)?,
            t::ANYCOMPATIBLEARRAY => self.array_of(family2.ok_or_else(undetermined)?)?,
            t::ANYCOMPATIBLERANGE => found.compatible_range.ok_or_else(undetermined)?,
            t::ANYCOMPATIBLEMULTIRANGE => found.compatible_multirange.ok_or_else(undetermined)?,
            other => other,
        })
    }

    fn array_of(&self, element: Oid) -> SqlResult<Oid> {
        self.array_type(element).ok_or_else(|| {
            SqlError::new(
                SqlState::UndefinedObject,
                format!("could not find array type for data type {}", self.type_name(element)),
            )
        })
    }

    fn collect(&self, actual: &[Oid], declared: &[Oid]) -> Result<Found, Misfit> {
        let mut found = Found::default();
        for (actual, declared) in actual.iter().copied().zip(declared.iter().copied()) {
            match declared {
                t::ANYNONARRAY => found.wants_nonarray = true,
                t::ANYENUM => found.wants_enum = true,
                t::ANYCOMPATIBLENONARRAY => found.wants_compatible_nonarray = true,
                _ => {}
            }
            let slot = match declared {
                t::ANYELEMENT | t::ANYNONARRAY | t::ANYENUM => {
                    Some((&mut found.element, "anyelement"))
                }
                t::ANYARRAY => Some((&mut found.array, "anyarray")),
                t::ANYRANGE => Some((&mut found.range, "anyrange")),
                t::ANYMULTIRANGE => Some((&mut found.multirange, "anymultirange")),
                _ => None,
            };
            if let Some((slot, name)) = slot {
                found.has_family1 = true;
                let flat = name != "anyelement";
                let actual = if flat { self.base_type(actual) } else { actual };
                self.agree(slot, actual, name)?;
                continue;
            }
            if is_polymorphic_family2(declared) {
                found.has_family2 = true;
                if actual != t::UNKNOWN {
                    self.collect_compatible(&mut found, actual, declared)?;
                }
            }
        }
        Ok(found)
    }

    fn agree(&self, slot: &mut Option<Oid>, actual: Oid, name: &str) -> Result<(), Misfit> {
        if actual == t::UNKNOWN {
            return Ok(());
        }
        match *slot {
            Some(before) if before != actual => {
                Err(Misfit::new(format!("arguments declared \"{name}\" are not all alike")).detail(
                    format!("{} versus {}", self.type_name(before), self.type_name(actual)),
                ))
            }
            _ => {
                *slot = Some(actual);
                Ok(())
            }
        }
    }

    fn collect_compatible(
        &self,
        found: &mut Found,
        actual: Oid,
        declared: Oid,
    ) -> Result<(), Misfit> {
        let not_a = |name: &str, what: &str| {
            Misfit::new(format!(
                "argument declared {name} is not {what} but type {}",
                self.type_name(actual)
            ))
        };
        let actual = self.base_type(actual);
        match declared {
            t::ANYCOMPATIBLEARRAY => match self.element_type(actual) {
                Some(element) => found.compatible.push(element),
                None => return Err(not_a("anycompatiblearray", "an array")),
            },
            t::ANYCOMPATIBLERANGE => match self.range_subtype(actual) {
                Some(subtype) => {
                    self.agree(&mut found.compatible_range, actual, "anycompatiblerange")?;
                    found.compatible.push(subtype);
                }
                None => return Err(not_a("anycompatiblerange", "a range type")),
            },
            t::ANYCOMPATIBLEMULTIRANGE => match self.multirange_range(actual) {
                Some(range) => {
                    let slot = &mut found.compatible_multirange;
                    self.agree(slot, actual, "anycompatiblemultirange")?;
                    found.compatible.extend(self.range_subtype(range));
                }
                None => return Err(not_a("anycompatiblemultirange", "a multirange type")),
            },
            _ => found.compatible.push(actual),
        }
        Ok(())
    }

    /// What `anyelement` stands for.
    fn resolve_family1(&self, found: &Found, must: bool) -> Result<Option<Oid>, Misfit> {
        if !found.has_family1 {
            return Ok(None);
        }
        let mut element = found.element;
        if let Some(array) = found.array {
            // `anyarray` itself is a pseudo-type that statistics columns have.
            let inner = if array == t::ANYARRAY {
                t::ANYELEMENT
            } else {
                self.element_type(array).ok_or_else(|| {
                    Misfit::new(format!(
                        "argument declared anyarray is not an array but type {}",
                        self.type_name(array)
                    ))
                })?
            };
            self.element_agrees(&mut element, inner, "anyarray")?;
        }
        let range = match (found.range, found.multirange) {
            (Some(range), _) => {
                if !self.is_range(range) {
                    return Err(Misfit::new(format!(
                        "argument declared anyrange is not a range type but type {}",
                        self.type_name(range)
                    )));
                }
                Some(range)
            }
            (None, Some(multirange)) => {
                Some(self.multirange_range(multirange).ok_or_else(|| {
                    Misfit::new(format!(
                        "argument declared anymultirange is not a multirange type but type {}",
                        self.type_name(multirange)
                    ))
                })?)
            }
            (None, None) => None,
        };
        if let Some(subtype) = range.and_then(|range| self.range_subtype(range)) {
            self.element_agrees(&mut element, subtype, "anyrange")?;
        }
        let Some(element) = element else {
            return if must {
                Err(Misfit::new(
                    "could not determine polymorphic type because input has type unknown",
                ))
            } else if found.wants_enum {
                Err(Misfit::new("type matched to anyenum is not an enum type: unknown"))
            } else {
                Ok(None)
            };
        };
        if found.wants_nonarray && self.element_type(element).is_some() {
            return Err(Misfit::new(format!(
                "type matched to anynonarray is an array type: {}",
                self.type_name(element)
            )));
        }
        if found.wants_enum && !self.is_enum(element) {
            return Err(Misfit::new(format!(
                "type matched to anyenum is not an enum type: {}",
                self.type_name(element)
            )));
        }
        Ok(Some(element))
    }

    fn element_agrees(
        &self,
        element: &mut Option<Oid>,
        inner: Oid,
        container: &str,
    ) -> Result<(), Misfit> {
        match *element {
            Some(before) if before != inner => Err(Misfit::new(format!(
                "argument declared {container} is not consistent with argument declared anyelement"
            ))
            .detail(format!(
                "{} versus {}",
                self.type_name(inner),
                self.type_name(before)
            ))),
            _ => {
                *element = Some(inner);
                Ok(())
            }
        }
    }

    /// What `anycompatible` stands for; text if all arguments are of unknown type.
    fn resolve_family2(&self, found: &Found) -> Result<Option<Oid>, Misfit> {
        if !found.has_family2 {
            return Ok(None);
        }
        if found.compatible.is_empty() {
            return Ok(Some(t::TEXT));
        }
        let common = self.common_type_of(&found.compatible).map_err(|(a, b, _)| {
            Misfit::new(format!(
                "arguments of anycompatible family cannot be cast to a common type: {} and {}",
                self.type_name(a),
                self.type_name(b)
            ))
        })?;
        let fits = found
            .compatible
            .iter()
            .all(|ty| self.can_coerce(&[*ty], &[common], CastContext::Implicit));
        if !fits {
            return Err(Misfit::new(
                "arguments of anycompatible family cannot be cast to a common type",
            ));
        }
        if found.wants_compatible_nonarray && self.element_type(common).is_some() {
            return Err(Misfit::new(format!(
                "type matched to anycompatiblenonarray is an array type: {}",
                self.type_name(common)
            )));
        }
        Ok(Some(common))
    }
}
