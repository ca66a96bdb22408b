//! What an expression means, and that it can be printed.

use serde_json::{Value, json};

use super::*;
use crate::units::Seed;

fn passes(expression: &str, fields: &Value) -> bool {
    let filter = Filter::parse(expression).unwrap_or_else(|e| panic!("{expression}: {e}"));
    filter.matches(fields.as_object().unwrap())
}

fn fails(expression: &str) -> String {
    Filter::parse(expression).unwrap_err().to_string()
}

fn dress() -> Value {
    json!({
        "color": "Red", "price": 19.49, "brand": "Acme", "sizes": ["S", "M", 42],
        "note": null, "year": "2012", "tag": "$19.49", "new": true, "sold": "False",
        "details": {"Color": "Scarlet"}, "net weight": 3,
    })
}

#[test]
fn comparisons_join_by_and_or_not_with_the_usual_precedence() {
    let dress = dress();
    assert!(passes("color = \"red\" and price < 20 and not brand in (\"x\", \"y\")", &dress));
    assert!(passes("color = 'blue' and price > 100 or brand == 'ACME'", &dress));
    assert!(!passes("color = 'blue' and (price > 100 or brand = 'ACME')", &dress));
    assert!(passes("not color = 'blue' and price >= 19.49", &dress));
    assert!(passes("NOT (color = 'blue' OR price <= 19)", &dress));
}

#[test]
fn text_compares_without_case_and_numbers_by_value() {
    let dress = dress();
    assert!(passes("brand = 'acme'", &dress));
    assert!(passes("color in ('BLUE', 'RED')", &dress));
    assert!(passes("brand < 'b'", &dress));
    assert!(passes("year < 2013", &dress) && passes("year = 2012.0", &dress));
    assert!(passes("price = '19.49'", &dress));
    assert!(!passes("tag < 20", &dress) && !passes("tag > 1", &dress));
    assert!(passes("tag = '$19.49'", &dress));
    assert!(passes("price > -5 and price < 1e+3", &dress));
}

#[test]
fn flags_are_found_as_flags_and_as_text() {
    let dress = dress();
    assert!(passes("new = true and new = 'true' and new != false", &dress));
    assert!(passes("sold = false", &dress));
    assert!(!passes("price = true", &dress));
}

#[test]
fn a_missing_field_passes_only_negations_and_is_null() {
    let dress = dress();
    for expression in ["size = 1", "size < 1", "size in (1)", "size like '%'", "size is not null"] {
        assert!(!passes(expression, &dress), "{expression}");
    }
    for expression in [
        "size != 1",
        "size <> 1",
        "not size = 1",
        "size not in (1)",
        "size is null",
        "note is null",
        "note != 1",
    ] {
        assert!(passes(expression, &dress), "{expression}");
    }
    assert!(passes("color is not null", &dress));
}

#[test]
fn a_list_passes_when_one_of_its_elements_does() {
    let dress = dress();
    assert!(passes("sizes = 'm' and sizes = 42 and sizes in ('x', 's')", &dress));
    assert!(!passes("sizes != 'm'", &dress));
    assert!(passes("sizes != 'XL'", &dress));
    assert!(!passes("sizes = 'm'", &json!({"sizes": []})));
}

#[test]
fn like_and_contains_search_within_texts() {
    let title = json!({"title": "Plaid Print Mock-Neck Blouse 50%"});
    assert!(passes("title like '%print%'", &title));
    assert!(passes("title like 'plaid%blouse%'", &title));
    assert!(passes("title like '_laid%'", &title));
    assert!(!passes("title like 'print'", &title));
    assert!(!passes("title like '%print'", &title));
    assert!(passes("title contains 'MOCK-neck' and title contains '50%'", &title));
    assert!(passes("title not like '%dress%' and title not contains 'dress'", &title));
    assert!(passes("price like '19%'", &json!({"price": 19.5})));
    let long = json!({"title": "a".repeat(10_000)});
    assert!(!passes(&format!("title like '{}b'", "%a".repeat(30)), &long));
}

#[test]
fn fields_are_reached_in_backquotes_and_through_dots() {
    let dress = dress();
    assert!(passes("`net weight` = 3", &dress));
    assert!(passes("details.Color = 'scarlet'", &dress));
    assert!(passes("details.Size is null", &dress));
    assert!(passes("`in` = 1 and größe-2 = 5", &json!({"in": 1, "größe-2": 5})));
    assert!(passes("a.b = 1", &json!({"a.b": 1, "a": {"b": 2}})));
}

#[test]
fn quotes_within_a_text_are_doubled_or_escaped() {
    let screen = json!({"title": "the \"5\\6\" it's"});
    assert!(passes("title = 'the \"5\\\\6\" it''s'", &screen));
    assert!(passes(r#"title = "the \"5\\6\" it's""#, &screen));
    assert!(passes(r#"title = "the ""5\6"" it's""#, &screen));
}

#[test]
fn field_names_come_in_order_each_once() {
    let filter = Filter::parse("b = 1 or not (a.c in (2) and b is null) and `d e` < 3").unwrap();
    assert_eq!(filter.field_names(), ["b", "a.c", "d e"]);
}

#[test]
fn errors_name_the_column_and_what_was_expected() {
    assert_eq!(fails("price < "), "expected a value after \"price <\" at column 9 (found end)");
    assert_eq!(
        fails("color = red"),
        "expected a number or a text in quotes after \"color =\" at column 9 (found red)"
    );
    assert_eq!(
        fails("price 20"),
        "expected an operator (=, !=, <, in, like, is null, ...) after \"price\" at column 7 (found 20)"
    );
    assert_eq!(fails("5 < price"), "expected a field name at column 1 (found 5)");
    assert_eq!(
        fails("price < 5 color = 'x'"),
        "expected \"and\", \"or\" or the end after \"price < 5\" at column 11 (found color)"
    );
    assert_eq!(fails("größe in 5"), "expected \"(\" after \"größe in\" at column 10 (found 5)");
    assert_eq!(fails("(a = 1"), "expected \")\" after \"a = 1\" at column 7 (found end)");
    assert_eq!(fails("color = 'red"), "the ' at column 9 is never closed");
    assert!(fails("a & b").starts_with("unexpected & at column 3"));
    assert!(fails("color = null").contains("is null"));
    assert!(fails("a = 1 and").contains("expected a field name after \"and\" at column 10"));
    assert_eq!(fails("  "), "the filter is empty: expected a condition such as price < 20");
}

#[test]
fn deep_nesting_is_refused_and_long_chains_are_not() {
    let deep = format!("{}a = 1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(fails(&deep).contains("nests deeper than 64"));
    assert!(fails(&"not ".repeat(100_000)).contains("nests deeper"));
    let chain = vec!["a = 1"; 20_000].join(" and ");
    assert!(passes(&chain, &json!({"a": 1})));
}

#[test]
fn rubbish_never_panics() {
    let mut rng = Seed(7).stream("filter rubbish", 0);
    let pieces = [
        "a", "ü", "\"", "'", "`", "\\", "(", ")", ",", "<", "=", "!", "-", "1e", "+", "in", "not",
        " ", "is", "null", "%", "like", "and", "or", ".",
    ];
    for _ in 0..5_000 {
        let text: String =
            (0..rng.usize(0..12)).map(|_| pieces[rng.usize(0..pieces.len())]).collect();
        if let Ok(filter) = Filter::parse(&text) {
            filter.matches(dress().as_object().unwrap());
        }
    }
}

#[test]
fn a_filter_can_be_shared_between_threads_and_compared() {
    fn shared<T: Clone + std::fmt::Debug + PartialEq + Send + Sync>(_: &T) {}
    let filter = Filter::parse("a = 'X'").unwrap();
    shared(&filter);
    assert_eq!(filter, Filter::parse("a == \"x\"").unwrap());
}

/// The rows of the table in the module's documentation: fields, condition, whether it passes.
pub(crate) fn table() -> Vec<(Value, String, bool)> {
    let lines = include_str!("mod.rs").lines().filter_map(|line| line.strip_prefix("//! | `{"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(" | ").collect();
        let fields = serde_json::from_str(&format!("{{{}", cells[0].trim_end_matches('`')));
        let condition = match cells[1].strip_prefix("``` ") {
            Some(condition) => condition.strip_suffix(" ```").unwrap(),
            None => cells[1].trim_matches('`'),
        };
        let passes = match cells[2] {
            "yes" => true,
            "no" => false,
            other => panic!("{other} is neither yes nor no"),
        };
        (fields.unwrap_or_else(|e| panic!("{line}: {e}")), condition.to_owned(), passes)
    };
    lines.map(row).collect()
}

#[test]
fn each_row_of_the_table_is_true() {
    let table = table();
    assert!(table.len() >= 50, "{}", table.len());
    for (fields, condition, expected) in table {
        assert_eq!(passes(&condition, &fields), expected, "{condition} of {fields}");
        let opposite = format!("not ({condition})");
        assert_eq!(passes(&opposite, &fields), !expected, "{opposite} of {fields}");
    }
}

#[test]
fn the_table_has_both_answers_of_each_kind_of_test() {
    let kind = |condition: &str| match Filter::parse(condition).unwrap().root {
        Condition::Test { test: Test::Compare(comparison, _), .. } => comparison.sign(),
        Condition::Test { test: Test::In(_), .. } => "in",
        Condition::Test { test: Test::Like(_), .. } => "like",
        Condition::Test { test: Test::Contains(_), .. } => "contains",
        Condition::Test { test: Test::IsNull, .. } => "is null",
        _ => "joined",
    };
    let seen: std::collections::BTreeSet<_> =
        table().iter().map(|(_, condition, passes)| (kind(condition), *passes)).collect();
    for kind in ["=", "<", ">", "in", "like", "contains", "is null", "joined"] {
        let missing = [true, false].map(|passes| !seen.contains(&(kind, passes)));
        assert_eq!(missing, [false, false], "{kind}");
    }
}

/// A tree as the parser makes them, with names and texts that are hard to print.
fn tree(rng: &mut fastrand::Rng, depth: usize) -> Condition {
    let parts = |rng: &mut fastrand::Rng| {
        (0..rng.usize(2..4)).map(|_| tree(rng, depth - 1)).collect::<Vec<_>>()
    };
    match rng.usize(0..if depth == 0 { 1 } else { 5 }) {
        0 | 1 => Condition::Test { field: one(rng, &FIELDS).to_owned(), test: test(rng) },
        2 => Condition::All(parts(rng)),
        3 => Condition::Any(parts(rng)),
        _ => Condition::Not(Box::new(tree(rng, depth - 1))),
    }
}

const FIELDS: [&str; 12] = [
    "price",
    "details.Color",
    "net weight",
    "in",
    "NOT",
    "",
    "`",
    "größe-2",
    "5",
    "-a",
    "true",
    "a\nb'c\"",
];
const TEXTS: [&str; 9] =
    ["red", "", "it's", "\\", "\\'", "5\" screen\\\\", "''", "größe %_", "and (a = 1)\t"];
const NUMBERS: [f64; 9] =
    [0.0, -0.5, 19.49, 1e300, -1e-300, 0.1 + 0.2, 9_007_199_254_740_993.0, 1e16, f64::MIN_POSITIVE];

fn one<T: Copy>(rng: &mut fastrand::Rng, choice: &[T]) -> T {
    choice[rng.usize(0..choice.len())]
}

fn test(rng: &mut fastrand::Rng) -> Test {
    const COMPARISONS: [Comparison; 5] = [
        Comparison::Equal,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ];
    match rng.usize(0..5) {
        0 => Test::Compare(one(rng, &COMPARISONS), literal(rng)),
        1 => Test::In((0..rng.usize(1..4)).map(|_| literal(rng)).collect()),
        2 => Test::Like(one(rng, &TEXTS).to_owned()),
        3 => Test::Contains(one(rng, &TEXTS).to_owned()),
        _ => Test::IsNull,
    }
}

fn literal(rng: &mut fastrand::Rng) -> Literal {
    match rng.usize(0..3) {
        0 => Literal::Text(one(rng, &TEXTS).to_owned()),
        1 => Literal::Number(one(rng, &NUMBERS)),
        _ => Literal::Flag(rng.bool()),
    }
}

#[test]
fn a_filter_prints_what_parses_to_the_same_tree() {
    let mut rng = Seed(3).stream("filter trees", 0);
    for _ in 0..20_000 {
        let root = tree(&mut rng, 4);
        let text = root.to_string();
        let back = Filter::parse(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(*back.condition(), root, "{text}");
    }
}

#[test]
fn a_filter_prints_as_a_person_would_write_it() {
    for (written, printed) in [
        ("a=1 and (b!='X' or not(c in(1,2)))", "a = 1 and (b != 'x' or c not in (1, 2))"),
        ("((a = 1))", "a = 1"),
        ("(a = 1 and b = 2) or c is not null", "a = 1 and b = 2 or c is not null"),
        ("not (a = 1 and b = 2)", "not (a = 1 and b = 2)"),
        ("not a < 1e0", "not a < 1"),
        ("`net weight` == 3", "`net weight` = 3"),
    ] {
        assert_eq!(Filter::parse(written).unwrap().to_string(), printed);
    }
}

#[test]
fn what_nests_as_deep_as_it_may_can_be_printed_and_read_again() {
    for deepest in ["a != 1", "a not in (1)", "a is not null"] {
        let text = format!("{}{deepest}{}", "not (b = 1 or ".repeat(32), ")".repeat(32));
        let filter = Filter::parse(&text).unwrap();
        assert_eq!(Filter::parse(&filter.to_string()).unwrap(), filter, "{text}");
    }
}

#[test]
fn serde_keeps_a_filter_as_its_text() {
    let filter = Filter::parse("color = 'Red' and price < 20").unwrap();
    let json = serde_json::to_value(&filter).unwrap();
    assert_eq!(json, "color = 'red' and price < 20");
    assert_eq!(serde_json::from_value::<Filter>(json).unwrap(), filter);
    let error = serde_json::from_str::<Filter>("\"price <\"").unwrap_err().to_string();
    assert!(error.contains("expected a value"), "{error}");
}

#[test]
fn values_rank_by_number_then_text_then_flag() {
    let rank = |value: Value| Rank::of(&value).unwrap();
    let ordered =
        [json!(-1), json!("2"), json!(10), json!("Blue"), json!("red"), json!(false), json!(true)];
    for pair in ordered.windows(2) {
        let (a, b) = (rank(pair[0].clone()), rank(pair[1].clone()));
        assert_eq!(
            (a.order(&b), b.order(&a)),
            (std::cmp::Ordering::Less, std::cmp::Ordering::Greater)
        );
    }
    assert_eq!(rank(json!(["b", "a"])), rank(json!("B")));
    assert!([json!(null), json!({}), json!([])].iter().all(|value| Rank::of(value).is_none()));
}
