//! Amazon's product metadata (the research collections of 2014, 2018, 2018 again, and 2023).
//!
//! The four differ in their names and in how they write the same thing; [`tidy`] gives all of them
//! the same shape, so that one filter works on each:
//!
//! | field | 2014 | 2018 | 2018 v2 | 2023 |
//! |---|---|---|---|---|
//! | id | `asin` | `asin` | `asin` | `parent_asin` |
//! | pictures | `imUrl` | `image`: thumbnails | `imageURL`, `imageURLHighRes` | `images`: objects |
//! | `description` | text | list | list | list |
//! | texts of the maker | - | `feature`: list | `feature`: list | `features`: list |
//! | `categories`, `category` | list of lists | `category`: list | `category`: list | `categories`: list |
//! | `brand` | `brand` | `brand` | `brand` | `store` |
//! | `price` | number | `"$7.86"` | `"$7.86"` or `""` | number, text or null |
//!
//! Texts have their entities (`&quot;`) and HTML tags removed, and empty values are left out.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::markup::{self, single_spaced};
use super::pictures::{self, Lost, Pictures};
use super::{PICTURE_ENDINGS, Remote};
use crate::filter::Fields;

/// The fields with texts after [`tidy`], most telling first.
pub(super) const TEXT_FIELDS: [&str; 4] = ["title", "description", "features", "feature"];

/// The fields with the item's name.
pub(super) const ID_FIELDS: [&str; 2] = ["asin", "parent_asin"];

/// The fields with pictures, largest first.
pub(super) const PICTURE_FIELDS: [&str; 5] =
    ["imageURLHighRes", "images", "imageURL", "image", "imUrl"];

/// More categories than any product has.
const MAX_CATEGORIES: usize = 200;

/// The sizes of a picture in `images`, largest first.
const SIZES: [&str; 3] = ["hi_res", "large", "thumb"];

/// Whether a row is of one of the four forms: a product's name and pictures in Amazon's way.
pub(super) fn is_record(fields: &Fields) -> bool {
    let named = ID_FIELDS.iter().any(|field| fields.get(*field).is_some_and(Value::is_string));
    let pictured = ["imUrl", "imageURL", "imageURLHighRes"].iter().any(|f| fields.contains_key(*f));
    named
        && (pictured || ["image", "images"].iter().any(|f| fields.get(*f).is_some_and(is_pictures)))
}

fn is_pictures(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.first().is_some_and(|first| match first {
            Value::String(url) => pictures::is_url(url),
            first => is_pictures(first),
        }),
        Value::Object(sizes) => SIZES.iter().any(|size| sizes.contains_key(*size)),
        _ => false,
    }
}

/// Gives a row the shape that all four forms share.
pub(super) fn tidy(fields: &mut Fields) {
    for (name, value) in std::mem::take(fields) {
        let value = decoded(value);
        if !is_empty(&value) {
            fields.insert(name, value);
        }
    }
    tidy_categories(fields);
    tidy_texts(fields);
    tidy_names(fields);
    tidy_price(fields);
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(list) => list.iter().all(is_empty),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A value with the entities of its texts undone.
fn decoded(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(markup::decoded(text)),
        Value::Array(list) => Value::Array(list.into_iter().map(decoded).collect()),
        Value::Object(map) => {
            let decoded =
                map.into_iter().map(|(name, value)| (markup::decoded(name), decoded(value)));
            Value::Object(decoded.collect::<Map<_, _>>())
        }
        other => other,
    }
}

/// Without markup, and each run of white space as one space.
fn plain(text: &str) -> String {
    single_spaced(&markup::plain(text))
}

fn tidy_texts(fields: &mut Fields) {
    for field in ["description", "features", "feature"] {
        if let Some(value) = fields.remove(field) {
            let joined = plain(&texts_in(&value).join(" "));
            if !joined.is_empty() {
                fields.insert(field.to_owned(), joined.into());
            }
        }
    }
    if let Some(Value::String(title)) = fields.remove("title") {
        let title = plain(&title);
        // Some titles of 2018 are a script of the shop's page.
        if !title.is_empty() && !title.contains("getTime()") {
            fields.insert("title".to_owned(), title.into());
        }
    }
}

/// The texts of a value, of the lists in it too, in order.
fn texts_in(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(list) => list.iter().flat_map(texts_in).collect(),
        _ => Vec::new(),
    }
}

/// `categories` becomes one list, from the widest to the narrowest, and `category` its last.
///
/// In 2018 the features of clothes were appended to the categories; they are taken out again.
fn tidy_categories(fields: &mut Fields) {
    let written = ["categories", "category"].into_iter().filter_map(|field| fields.remove(field));
    let written: Vec<Value> = written.collect();
    let features = ["features", "feature"].into_iter().filter_map(|field| fields.get(field));
    let features: Vec<String> = features.flat_map(texts_in).map(plain).collect();
    let mut categories: Vec<String> = Vec::new();
    for name in written.iter().flat_map(texts_in).take(MAX_CATEGORIES) {
        let name = plain(name);
        if !(name.is_empty() || features.contains(&name) || categories.contains(&name)) {
            categories.push(name);
        }
    }
    let narrowest = categories.last().cloned().or_else(|| main_category(fields));
    if !categories.is_empty() {
        fields.insert("categories".to_owned(), categories.into());
    }
    if let Some(category) = narrowest {
        fields.insert("category".to_owned(), category.into());
    }
}

/// The shop's department, which some rows give as a picture with its name in `alt`.
fn main_category(fields: &Fields) -> Option<String> {
    let written =
        ["main_cat", "main_category"].into_iter().find_map(|f| fields.get(f)?.as_str())?;
    let alt = written.split_once("alt=\"").and_then(|(_, rest)| rest.split('"').next());
    let name = plain(alt.unwrap_or(written));
    (!name.is_empty()).then_some(name)
}

/// Brand and colour, where they are known by another name.
fn tidy_names(fields: &mut Fields) {
    for (field, elsewhere) in [("brand", ["store", "Brand"]), ("color", ["color", "Color"])] {
        let details = fields.get("details").and_then(Value::as_object);
        let known = [Some(&*fields), details].into_iter().flatten();
        let written = known
            .flat_map(|names| [field, elsewhere[0], elsewhere[1]].map(|name| names.get(name)))
            .find_map(|value| value?.as_str());
        if let Some(name) = written.map(single_spaced) {
            fields.insert(field.to_owned(), name.into());
        }
    }
}

/// `"$1,019.49"` becomes a number; a range stays a text; a style sheet, as some rows of 2018 have
/// it, is no price.
fn tidy_price(fields: &mut Fields) {
    let Some(Value::String(written)) = fields.get("price") else { return };
    let digits = written.trim().trim_start_matches('$').replace(',', "");
    let number = digits.parse::<f64>().ok().filter(|price| price.is_finite());
    match number.and_then(serde_json::Number::from_f64) {
        Some(price) => fields["price"] = Value::Number(price),
        None if written.contains('{') => drop(fields.remove("price")),
        None => {}
    }
}

/// The URLs of a row's main picture, largest first; with `field`, only those in that field.
pub(super) fn picture_urls(fields: &Fields, field: Option<&str>) -> Vec<String> {
    let named = field.as_slice();
    let names = if named.is_empty() { &PICTURE_FIELDS[..] } else { named };
    let mut urls = Vec::new();
    for value in names.iter().filter_map(|name| fields.get(*name)) {
        add_main_urls(value, &mut urls);
    }
    urls
}

/// The first URL of a list, and all sizes of a picture that is an object. In 2023's other form an
/// object holds one list a size.
fn add_main_urls(value: &Value, urls: &mut Vec<String>) {
    match value {
        Value::String(url) if pictures::is_url(url) => urls.push(url.clone()),
        Value::Array(list) => {
            if let Some(first) = list.iter().find(|value| !is_empty(value)) {
                add_main_urls(first, urls);
            }
        }
        Value::Object(sizes) => {
            for size in SIZES.iter().filter_map(|size| sizes.get(*size)) {
                add_main_urls(size, urls);
            }
        }
        _ => {}
    }
}

/// The URL of the whole picture: `NAME._SS40_.jpg` is a thumbnail of `NAME.jpg`.
fn full_size(url: &str) -> String {
    let name_at = url.rfind('/').map_or(0, |at| at + 1);
    let (before, name) = url.split_at(name_at);
    let marks = name.find("._").zip(name.rfind("_."));
    match marks {
        Some((from, to)) if to > from => format!("{before}{}{}", &name[..from], &name[to + 1..]),
        _ => url.to_owned(),
    }
}

/// The picture of product `asin`: by its name, or by the file name of one of its URLs. Where it is
/// not there: what to fetch, if the row says so.
pub(super) fn find_picture(
    asin: Option<&str>,
    urls: &[String],
    pictures: &mut Pictures,
) -> Result<PathBuf, Lost> {
    let asin = asin.filter(|asin| pictures::is_safe(asin));
    if let Some(found) = asin.and_then(|asin| by_asin(asin, pictures)) {
        return Ok(found);
    }
    for url in urls.iter().flat_map(|url| [url.clone(), full_size(url)]) {
        let name = pictures::file_name(&url).unwrap_or("");
        let decoded = pictures::percent_decoded(name);
        let named = [Some(name), decoded.as_deref()].into_iter().flatten();
        if let Some(found) =
            named.filter(|name| pictures::is_safe(name)).find_map(|name| pictures.named(name))
        {
            return Ok(found);
        }
    }
    let Some(url) = urls.first().map(|url| full_size(url)) else {
        return Err(Lost::Nowhere("the row names no picture".to_owned()));
    };
    match asin.and_then(pictures::portable) {
        Some(stem) => {
            let file = format!("{stem}.{}", ending_of(&url));
            Err(pictures::encoded(&url)
                .map_or_else(Lost::Refused, |url| Lost::ToFetch(Remote { url, file })))
        }
        None => pictures.fetched(&url),
    }
}

/// The picture that is called as the product, or as `looksee urls` writes the product's name.
fn by_asin(asin: &str, pictures: &Pictures) -> Option<PathBuf> {
    pictures.with_stem(asin).or_else(|| pictures.with_stem(&pictures::portable(asin)?))
}

/// The ending of the picture behind a URL; `jpg` where the URL does not say.
fn ending_of(url: &str) -> &'static str {
    let name = pictures::file_name(url).unwrap_or("");
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    PICTURE_ENDINGS.into_iter().find(|known| ending.eq_ignore_ascii_case(known)).unwrap_or("jpg")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tidied(row: &Value) -> Fields {
        let mut fields = row.as_object().unwrap().clone();
        tidy(&mut fields);
        fields
    }

    fn is_amazon(row: &Value) -> bool {
        is_record(row.as_object().unwrap())
    }

    #[test]
    fn the_four_forms_are_recognised_and_plain_rows_are_not() {
        assert!(is_amazon(&json!({"asin": "A", "imUrl": "http://x/a.jpg"})));
        assert!(is_amazon(&json!({"asin": "A", "image": ["https://x/a._SS40_.jpg"]})));
        assert!(is_amazon(&json!({"asin": "A", "imageURL": [], "imageURLHighRes": []})));
        assert!(is_amazon(&json!({"parent_asin": "A", "images": [{"large": "https://x/a.jpg"}]})));
        assert!(is_amazon(
            &json!({"parent_asin": "A", "images": {"hi_res": [null], "large": ["u"]}})
        ));
        assert!(!is_amazon(&json!({"asin": "A", "image": "images/a.jpg"})));
        assert!(!is_amazon(&json!({"asin": "A", "image": ["images/a.jpg"]})));
        assert!(!is_amazon(&json!({"id": "A", "imUrl": "http://x/a.jpg"})));
    }

    #[test]
    fn entities_and_tags_are_undone_everywhere() {
        let fields = tidied(&json!({
            "title": "Pr45&quot; Lace &amp;amp; <b>Tip</b>&#39;s 3 < 4",
            "rank": {"Home &amp; Kitchen": 5}, "description": ["Soft<br>wool", "", "warm"],
        }));
        assert_eq!(fields["title"], "Pr45\" Lace & Tip's 3 < 4");
        assert_eq!(fields["rank"], json!({"Home & Kitchen": 5}));
        assert_eq!(fields["description"], "Soft wool warm");
    }

    #[test]
    fn categories_become_one_list_and_its_last() {
        let fields = tidied(&json!({"categories": [["Clothes", "Women"], ["Clothes", "Coats"]]}));
        assert_eq!(fields["categories"], json!(["Clothes", "Women", "Coats"]));
        assert_eq!(fields["category"], "Coats");
        let fields = tidied(&json!({
            "category": ["Clothes", "Girls", "3 layers of tulle"], "feature": ["3 layers of tulle", "Soft"],
        }));
        assert_eq!(fields["category"], "Girls");
        assert_eq!(fields["feature"], "3 layers of tulle Soft");
        let fields =
            tidied(&json!({"category": [], "main_cat": "<img src=\"x\" alt=\"Digital Music\"/>"}));
        assert_eq!(fields["category"], "Digital Music");
    }

    #[test]
    fn prices_become_numbers_where_they_are_one() {
        assert_eq!(tidied(&json!({"price": "$1,019.49"}))["price"], 1019.49);
        assert_eq!(tidied(&json!({"price": 31.99}))["price"], 31.99);
        assert_eq!(tidied(&json!({"price": "$5.00 - $9.99"}))["price"], "$5.00 - $9.99");
        for nothing in [json!(""), json!(null), json!(".a-box{color:#fff}")] {
            assert!(!tidied(&json!({"price": nothing})).contains_key("price"));
        }
    }

    #[test]
    fn brand_and_colour_are_found_under_their_other_names() {
        let fields =
            tidied(&json!({"store": "Baleaf", "details": {"Color": "Navy", "Brand": "X"}}));
        assert_eq!((&fields["brand"], &fields["color"]), (&json!("Baleaf"), &json!("Navy")));
        assert_eq!(tidied(&json!({"details": {"Brand": "X"}}))["brand"], "X");
        assert_eq!(tidied(&json!({"brand": "by\n   Acme", "store": "Y"}))["brand"], "by Acme");
    }

    #[test]
    fn a_title_that_is_a_script_and_empty_values_are_left_out() {
        let fields = tidied(&json!({
            "title": "var aPageStart = (new Date()).getTime();", "also_buy": [], "date": "", "fit": [""],
        }));
        assert!(fields.is_empty(), "{fields:?}");
    }

    #[test]
    fn the_largest_picture_comes_first() {
        let row = json!({"images": [
            {"thumb": "https://x/t.jpg", "large": "https://x/l.jpg", "hi_res": null},
            {"thumb": "https://x/t2.jpg", "hi_res": "https://x/h2.jpg"},
        ]});
        let urls = picture_urls(row.as_object().unwrap(), None);
        assert_eq!(urls, ["https://x/l.jpg", "https://x/t.jpg"]);
        let row =
            json!({"imageURL": ["https://x/a._SS40_.jpg"], "imageURLHighRes": ["https://x/a.jpg"]});
        assert_eq!(picture_urls(row.as_object().unwrap(), None)[0], "https://x/a.jpg");
        assert_eq!(
            picture_urls(row.as_object().unwrap(), Some("imageURL")),
            ["https://x/a._SS40_.jpg"]
        );
        let row =
            json!({"images": {"hi_res": [null, "https://x/2.jpg"], "large": ["https://x/1.jpg"]}});
        assert_eq!(picture_urls(row.as_object().unwrap(), None)[0], "https://x/2.jpg");
    }

    #[test]
    fn size_marks_are_taken_off() {
        assert_eq!(full_size("https://x.y/I/61B._SS40_.jpg"), "https://x.y/I/61B.jpg");
        assert_eq!(
            full_size("https://x.y/I/41Z._SX38_SY50_CR,0,0,38,50_.jpg"),
            "https://x.y/I/41Z.jpg"
        );
        assert_eq!(full_size("https://x.y/I/31JIPhp%2BGIL.jpg"), "https://x.y/I/31JIPhp%2BGIL.jpg");
        assert_eq!(full_size("https://x.y/I/a_.jpg"), "https://x.y/I/a_.jpg");
    }

    #[test]
    fn a_picture_is_found_by_asin_then_by_url_and_else_is_to_be_fetched() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["B01.png", "31J+a.jpg"] {
            std::fs::write(folder.path().join(name), b"").unwrap();
        }
        let mut pictures = Pictures::of(folder.path());
        let mut find = |asin, urls: &[&str]| {
            let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
            find_picture(asin, &urls, pictures.listed().unwrap())
        };
        assert_eq!(find(Some("B01"), &["https://x/y.jpg"]), Ok(folder.path().join("B01.png")));
        assert_eq!(
            find(Some("B02"), &["https://x/31J%2Ba._SS40_.jpg"]),
            Ok(folder.path().join("31J+a.jpg"))
        );
        let remote = |url: &str, file: &str| {
            Err(Lost::ToFetch(Remote { url: url.into(), file: file.into() }))
        };
        assert_eq!(
            find(Some("B03"), &["https://x/c._SL9_.png", "https://x/d.jpg"]),
            remote("https://x/c.png", "B03.png")
        );
        assert_eq!(find(Some("../B03"), &["https://x/c.gif"]), remote("https://x/c.gif", "c.gif"));
        assert!(matches!(find(Some("B04"), &[]), Err(Lost::Nowhere(_))));
    }
}
