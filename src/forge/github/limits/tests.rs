use super::*;

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

/// Status, `retry-after`, `x-ratelimit-remaining`, `x-ratelimit-reset` and message of an answer.
type Row<'a> = (u16, &'a str, &'a str, &'a str, &'a str);

fn signs<'a>((status, after, remaining, reset, message): Row<'a>, strikes: u32) -> Signs<'a> {
    let said = |text: &'a str| Some(text).filter(|t| !t.is_empty());
    Signs {
        status,
        retry_after: said(after),
        remaining: said(remaining),
        reset: said(reset),
        message,
        graphql: status == 200 && message.contains("rate limit"),
        now: now(),
        strikes,
    }
}

#[test]
fn what_is_a_limit_and_how_long() {
    const NOT: &str = "Resource not accessible by personal access token";
    const PRIMARY: &str = "API rate limit exceeded for user ID 1.";
    const SECONDARY: &str = "You have exceeded a secondary rate limit.";
    const ABUSE: &str = "You have triggered an abuse detection mechanism";
    let soon = (now().as_second() + 90).to_string();
    let past = (now().as_second() - 90).to_string();
    let (soon, past) = (soon.as_str(), past.as_str());
    for (row, strikes, expected) in [
        // A 403 that is none, even if it spent the last request.
        ((403, "", "", "", ""), 0, None),
        ((403, "", "", "", NOT), 0, None),
        ((403, "", "0", soon, NOT), 0, None),
        // What the server says comes first, as seconds or as a date.
        ((403, "30", "", "", ""), 0, Some(30)),
        ((429, "7", "", "", ""), 0, Some(7)),
        ((403, "5", "0", soon, PRIMARY), 3, Some(5)),
        (
            (403, "Fri, 02 Jan 2026 03:04:45 GMT", "", "", ""),
            0,
            Some(40),
        ),
        ((403, "soon", "", "", ""), 0, Some(60)),
        // Then the reset, where nothing is left.
        ((403, "", "0", soon, PRIMARY), 0, Some(91)),
        ((429, "", "0", past, ""), 0, Some(1)),
        ((429, "", "0", "x", ""), 0, Some(60)),
        ((403, "", "4000", soon, SECONDARY), 0, Some(60)),
        // Else a minute, and longer each time.
        ((403, "", "", "", SECONDARY), 0, Some(60)),
        ((403, "", "", "", SECONDARY), 1, Some(120)),
        ((403, "", "", "", SECONDARY), 3, Some(480)),
        ((403, "", "", "", ABUSE), 0, Some(60)),
        ((429, "", "", "", ""), 0, Some(60)),
        // GraphQL says it with 200; a good answer may have spent the last request.
        ((200, "", "0", soon, PRIMARY), 0, Some(91)),
        ((200, "", "0", soon, ""), 0, None),
        // Other failures are none.
        ((503, "5", "", "", ""), 0, None),
        ((404, "", "0", "", ""), 0, None),
    ] {
        let expected = expected.map(Duration::from_secs);
        assert_eq!(wait(&signs(row, strikes)), expected, "{row:?} {strikes}");
    }
    // No numbers are too large.
    let (huge, far) = (u64::MAX.to_string(), i64::MAX.to_string());
    for row in [
        (403, huge.as_str(), "", "", ""),
        (429, "", "0", far.as_str(), ""),
        (429, "", "", "", ""),
    ] {
        assert!(wait(&signs(row, u32::MAX)) > Some(Duration::from_hours(1)));
    }
}

#[test]
fn a_task_is_not_slowed_down_and_a_flood_is() {
    let mut bucket = Bucket::default();
    let start = Instant::now();
    for _ in 0..8 {
        assert_eq!(bucket.take(start), Duration::ZERO);
    }
    // From here one each second, if the waits are waited.
    let mut at = start;
    for _ in 0..5 {
        let wait = bucket.take(at);
        assert_eq!(wait, Duration::from_secs(1));
        at += wait;
    }
    // An idle while fills it again, and no more than full.
    at += Duration::from_mins(10);
    let free = (0..20).filter(|_| bucket.take(at).is_zero()).count();
    assert_eq!(free, 8);
}
