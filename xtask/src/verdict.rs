//! What a run of all tests came to, in one closing line.

/// Counted over all parts of the run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Tests and checks that ran and held.
    pub passed: usize,
    /// Those that did not hold.
    pub failed: usize,
    /// What could not run, and why.
    pub skipped: Vec<String>,
}

impl Verdict {
    /// A check that is one by itself.
    pub fn check(&mut self, name: &str, held: bool) {
        if held {
            self.passed += 1;
        } else {
            self.failed += 1;
            println!("failed: {name}");
        }
    }

    /// Something that could not run.
    pub fn skip(&mut self, reason: &str) {
        self.skipped.push(reason.to_owned());
    }

    /// Adds what cargo test and cargo nextest say in their closing lines. A runner that fails without counting a
    /// failure (it did not compile, say) counts as one.
    pub fn add_run(&mut self, name: &str, success: bool, lines: &[String]) {
        let mut failed = 0;
        for line in lines {
            if let Some(counts) = closing_line(line) {
                self.passed += number_before(counts, "passed");
                failed += number_before(counts, "failed") + number_before(counts, "timed out");
            }
        }
        if !success && failed == 0 {
            println!("failed: {name}");
            failed = 1;
        }
        self.failed += failed;
    }

    /// Tests that ran without being able to do anything are no passed ones.
    pub fn add_skipped(&mut self, list: &str) {
        for line in list.lines() {
            self.skipped.push(line.replacen('\t', ": ", 1));
            self.passed = self.passed.saturating_sub(1);
        }
    }

    /// The one line that programs read.
    pub fn closing_line(&self) -> String {
        format!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped.len())
    }
}

/// `test result: ok. 3 passed; 0 failed; …` or `     Summary [ 2.1s] 3 tests run: 2 passed (1 slow), 1 failed, …`.
fn closing_line(line: &str) -> Option<&str> {
    let nextest = || line.trim_start().strip_prefix("Summary [")?.split_once("run: ").map(|(_, counts)| counts);
    // Indented, it is what nextest repeats of a single test's output.
    line.strip_prefix("test result: ").or_else(nextest)
}

fn number_before(counts: &str, word: &str) -> usize {
    let part = counts.split([',', ';', '.']).find(|part| part.contains(word));
    part.and_then(|part| part.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn adds_up_the_closing_lines_of_both_runners() {
        let mut verdict = Verdict::default();
        let cargo = "test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.1s";
        verdict.add_run("doc tests", false, &lines(cargo));
        let repeated = "    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 9 filtered out";
        let nextest = "     Summary [   1.9s] 9/9 tests run: 6 passed (1 slow), 2 failed, 1 timed out, 19 skipped";
        verdict.add_run("tests", false, &lines(&format!("{repeated}\n{nextest}")));
        assert_eq!(verdict.closing_line(), "9 passed, 4 failed, 0 skipped");
    }

    #[test]
    fn a_runner_that_fails_without_counting_is_a_failure() {
        let mut verdict = Verdict::default();
        verdict.add_run("tests", false, &lines("error: could not compile `tests`"));
        assert_eq!(verdict.closing_line(), "0 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn a_test_that_skipped_itself_has_not_passed() {
        let mut verdict = Verdict { passed: 3, ..Verdict::default() };
        verdict.add_skipped("on_10\tthere is no PostgreSQL 10\n");
        assert_eq!(verdict.closing_line(), "2 passed, 0 failed, 1 skipped");
        assert_eq!(verdict.skipped, ["on_10: there is no PostgreSQL 10"]);
    }
}
