use super::*;

#[derive(Serialize)]
struct Ship {
    name: String,
    launched: Timestamp,
    cargo: Option<String>,
}

impl Row for Ship {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text("NAME", &self.name),
            Cell::time("LAUNCHED", self.launched),
            Cell::text("SIZE", "big").narrow(),
            Cell::text("SIZE", "12 tons").wide(),
            Cell::optional("CARGO", self.cargo.as_ref()),
        ]
    }
}

fn ships() -> Vec<Ship> {
    let launched = "2026-01-02T03:04:05Z".parse().unwrap();
    vec![
        Ship {
            name: "skíðblaðnir".to_owned(),
            launched,
            cargo: Some("gold".to_owned()),
        },
        Ship {
            name: "naglfar".to_owned(),
            launched,
            cargo: None,
        },
    ]
}

fn render(format: Format, ships: &[Ship]) -> String {
    let now = "2026-01-02T03:14:05Z".parse().unwrap();
    Output { format }.render(ships, ships, now).unwrap()
}

#[test]
fn tables_have_ages_and_no_borders() {
    insta::assert_snapshot!(render(Format::Table, &ships()), @r"
    NAME          LAUNCHED   SIZE   CARGO
    skíðblaðnir   10m        big    gold
    naglfar       10m        big    -
    ");
    insta::assert_snapshot!(render(Format::Wide, &ships()), @r"
    NAME          LAUNCHED               SIZE      CARGO
    skíðblaðnir   2026-01-02T03:04:05Z   12 tons   gold
    naglfar       2026-01-02T03:04:05Z   12 tons   -
    ");
    assert_eq!(render(Format::Table, &[]), "");
}

#[test]
fn programs_get_everything() {
    insta::assert_snapshot!(render(Format::Json, &ships()), @r#"
    [
      {
        "name": "skíðblaðnir",
        "launched": "2026-01-02T03:04:05Z",
        "cargo": "gold"
      },
      {
        "name": "naglfar",
        "launched": "2026-01-02T03:04:05Z",
        "cargo": null
      }
    ]
    "#);
    insta::assert_snapshot!(render(Format::Yaml, &ships()), @r#"
    - name: skíðblaðnir
      launched: "2026-01-02T03:04:05Z"
      cargo: gold
    - name: naglfar
      launched: "2026-01-02T03:04:05Z"
      cargo: null
    "#);
    insta::assert_snapshot!(render(Format::Name, &ships()), @r"
    skíðblaðnir
    naglfar
    ");
    assert_eq!(render(Format::Json, &[]), "[]\n");
}

#[test]
fn texts_of_others_stay_on_their_line_and_cannot_steer_the_terminal() {
    let mut ships = ships();
    ships[0].cargo = Some(format!("gold\n\u{1b}[2J{}", "x".repeat(300)));
    let table = render(Format::Table, &ships);
    assert_eq!(table.lines().count(), 3);
    assert!(!table.contains('\u{1b}') && table.contains('…'));
    assert!(render(Format::Wide, &ships).contains(&"x".repeat(300)));
}

#[test]
fn no_form_of_output_steers_the_terminal() {
    let said = "a\u{1b}[2J\u{9b}31m\u{7f}\r\n\u{202e}b\u{2028}c: 'd' \"e\"\u{0}";
    let mut ships = ships();
    ships[0].cargo = Some(said.to_owned());
    for format in [
        Format::Table,
        Format::Wide,
        Format::Json,
        Format::Yaml,
        Format::Name,
    ] {
        let text = render(format, &ships);
        let steers = |c: char| c != '\n' && c.is_control();
        assert!(!text.contains(steers), "{text:?}");
        let turns = text.contains(['\u{202e}', '\u{2028}']);
        assert!(!turns || format == Format::Yaml, "{text:?}");
    }
    // For programs, nothing is lost.
    let json: serde_json::Value = serde_json::from_str(&render(Format::Json, &ships)).unwrap();
    assert_eq!(json[0]["cargo"], said);
    let yaml: serde_json::Value = serde_saphyr::from_str(&render(Format::Yaml, &ships)).unwrap();
    assert_eq!(yaml[0]["cargo"], said);
    assert_eq!(yaml[0]["name"], "skíðblaðnir");
    for quiet in [
        "plain \u{9b}",
        "\u{202e}",
        "it's\u{85}so",
        "# \u{2028}\n- a\n",
        "a\u{9b}\nb\n",
        "a\tb",
        "a\n\tb\n",
        "a\n\tb\u{1b}\r\n",
    ] {
        ships[0].cargo = Some(quiet.to_owned());
        let text = render(Format::Yaml, &ships);
        let yaml: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(yaml[0]["cargo"], quiet, "{text}");
    }
    assert_eq!(printable_lines("a\u{1b}[1m\nb\r"), "a [1m\nb ");
}

#[test]
fn ages_are_told_in_the_unit_that_fits() {
    let at = |age: &str| {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let span: jiff::SignedDuration = age.parse().unwrap();
        table::age(now - span, now)
    };
    let ages = [
        "0s", "119s", "2m", "119m", "2h", "47h", "48h", "2400h", "-3s",
    ];
    assert_eq!(ages.map(at).join(" "), "0s 119s 2m 119m 2h 47h 2d 100d 0s");
}
