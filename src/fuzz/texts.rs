//! Readers of short texts: filters and recipes.

use super::driver::Target;
use super::seeds;
use crate::filter::{Fields, Filter};
use crate::train::Recipe;

fn thing() -> Fields {
    let thing = serde_json::json!({
        "color": "Red", "price": 19.49, "size": ["S", "M"], "sold": true, "none": null,
        "details": {"brand": "x"}, "text": "a 'quoted' \"text\"",
    });
    thing.as_object().cloned().unwrap()
}

#[test]
fn whatever_a_filter_says_it_is_an_error_or_divides_things_in_two() {
    let target = Target {
        name: "filter",
        file: "filter.txt",
        seeds: seeds(&[
            "color = \"red\" and price < 20 and not brand in (\"x\", \"y\")",
            "size in ('S', 3, true) or none is not null",
            "(details.brand like '%x_' or text != 'a') and (sold = true)",
            "not not (price >= -1.5e3)",
        ]),
        words: &[
            " and ",
            " or ",
            " not ",
            " in (",
            ")",
            "(",
            " like '%_",
            " is null",
            " is not null",
            "=",
            "!=",
            "<=",
            ">=",
            "<",
            ">",
            "color",
            "price",
            "details.brand",
            "true",
            ", ",
        ],
        head: usize::MAX,
    };
    let (thing, nothing) = (thing(), Fields::new());
    target.run(|_, input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        let Ok(filter) = Filter::parse(text) else { return };
        assert_eq!(Filter::parse(text).unwrap(), filter);
        // A stop at the depth that is allowed is the one reason why the opposite is not read.
        let Ok(opposite) = Filter::parse(&format!("not ({text})")) else { return };
        for fields in [&thing, &nothing] {
            assert_ne!(filter.matches(fields), opposite.matches(fields), "{text}");
        }
        assert_eq!(filter.field_names(), opposite.field_names());
    });
}

#[test]
fn whatever_a_recipe_says_it_is_an_error_or_written_as_it_was_read() {
    let sources = ["default", "article"].map(|name| Recipe::source(name).unwrap());
    let target = Target {
        name: "recipe",
        file: "recipe.toml",
        seeds: seeds(&sources),
        words: &["dim = ", "[image]", "tower = \"resnet50\"", "width = ", "nan", "inf", "{", "}"],
        head: usize::MAX,
    };
    target.run(|_, input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        let Ok(recipe) = Recipe::parse(text) else { return };
        let written = recipe.to_toml();
        let again = Recipe::parse(&written).unwrap_or_else(|e| panic!("{e}:\n{written}"));
        assert_eq!(again.to_toml(), written);
    });
}
