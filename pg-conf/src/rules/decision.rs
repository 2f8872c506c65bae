//! Which of the rules decides a login, when it is known of each whether it is for it.
//!
//! What must always hold: the first rule that is for the login decides, as in `check_hba` of the server's `hba.c`; where
//! an earlier one might be, nothing is taken for decided.

use crate::rules::hba_file::Match;

/// What the rules make of a login; rules by their place in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This rule decides, by its method.
    Rule(usize),
    /// None is for it: the server refuses it.
    NoRule,
    /// It hangs on what isn't known.
    Open {
        /// The rules that decide if they are for it.
        perhaps: Vec<usize>,
        /// The rule that decides if none of them is.
        otherwise: Option<usize>,
    },
}

impl Decision {
    /// Goes through the rules in the server's order.
    pub fn of(matches: &[Match]) -> Self {
        let sure = matches.iter().position(|matched| *matched == Match::Yes);
        let before = &matches[..sure.unwrap_or(matches.len())];
        let perhaps: Vec<usize> = (0..before.len()).filter(|index| before[*index] != Match::No).collect();
        match sure {
            _ if !perhaps.is_empty() => Self::Open { perhaps, otherwise: sure },
            Some(index) => Self::Rule(index),
            None => Self::NoRule,
        }
    }

    /// The later rules that are for the login too, or might be, and never get to speak.
    pub fn hides(&self, matches: &[Match]) -> Vec<usize> {
        let (Self::Rule(winner) | Self::Open { otherwise: Some(winner), .. }) = self else { return Vec::new() };
        (winner + 1..matches.len()).filter(|index| matches[*index] != Match::No).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: Match = Match::Part;

    #[test]
    fn the_first_rule_for_the_login_decides_and_hides_the_later_ones() {
        let matches = [Match::No, Match::Yes, Match::No, Match::Yes, PART];
        let decision = Decision::of(&matches);
        assert_eq!(decision, Decision::Rule(1));
        assert_eq!(decision.hides(&matches), [3, 4]);
    }

    #[test]
    fn no_rule_for_the_login_is_told_from_one_that_is_not_known() {
        assert_eq!(Decision::of(&[Match::No, Match::No]), Decision::NoRule);
        assert_eq!(Decision::of(&[]), Decision::NoRule);
        let unknown = Match::Unknown("whether it rains".into());
        let open = Decision::Open { perhaps: vec![0, 2], otherwise: None };
        assert_eq!(Decision::of(&[unknown, Match::No, PART]), open);
    }

    #[test]
    fn a_rule_behind_an_unknown_one_decides_only_otherwise() {
        let matches = [PART, Match::Yes, Match::Yes];
        let decision = Decision::of(&matches);
        assert_eq!(decision, Decision::Open { perhaps: vec![0], otherwise: Some(1) });
        assert_eq!(decision.hides(&matches), [2]);
    }
}
