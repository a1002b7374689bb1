//! `docs/permissions.md` prints the table as it is.

use super::*;

fn heading(holder: Holder) -> &'static str {
    match holder {
        Holder::Owner => "owner",
        Holder::UserAdmin => "user-admin",
        Holder::TemplateAdmin => "template-admin",
        Holder::Auditor => "auditor",
        Holder::Anyone => "anyone",
        Holder::OrgAdmin => "organization-admin",
        Holder::OrgUserAdmin => "organization-user-admin",
        Holder::OrgTemplateAdmin => "organization-template-admin",
        Holder::OrgAuditor => "organization-auditor",
        Holder::OrgMember => "member",
        Holder::Own => "own",
    }
}

fn line(cells: impl Iterator<Item = String>) -> String {
    cells.fold("|".to_owned(), |line, cell| format!("{line} {cell} |")) + "\n"
}

fn grid() -> String {
    let columns = Holder::ALL.into_iter().map(heading).chain(["custom role"]);
    let head = line(std::iter::once("").chain(columns).map(str::to_owned));
    let under = format!("|---|{}\n", ":-:|".repeat(Holder::ALL.len() + 1));
    let row = |(resource, action, holders): &(Resource, Action, &[Holder])| {
        let held = Holder::ALL.iter().map(|holder| holders.contains(holder));
        let cells = held.chain([is_grantable(*resource, *action)]).map(|held| if held { "✓" } else { "" }.to_owned());
        line(std::iter::once(format!("`{}:{}`", resource.text(), action.text())).chain(cells))
    };
    head + &under + &TABLE.iter().map(row).collect::<String>()
}

fn bans() -> String {
    BANS.iter().map(|(resource, action, _)| format!("- `{}:{}`\n", resource.text(), action.text())).collect()
}

/// A page with a text between a mark and the next end.
fn printed(page: &str, mark: &str, text: &str) -> String {
    let (before, rest) = page.split_once(mark).expect(mark);
    let (_, after) = rest.split_once("<!-- the end -->").expect("an end");
    format!("{before}{mark}\n\n{text}\n<!-- the end -->{after}")
}

#[test]
fn the_page_prints_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/permissions.md");
    let page = std::fs::read_to_string(path).unwrap();
    let wanted = printed(&printed(&page, "<!-- the table -->", &grid()), "<!-- the bans -->", &bans());
    if std::env::var_os("ORGPLANE_UPDATE_DOCS").is_some() {
        std::fs::write(path, &wanted).unwrap();
        return;
    }
    let way = "ORGPLANE_UPDATE_DOCS=1 cargo test --workspace --lib -- the_page_prints_the_table";
    assert!(page == wanted, "the table has changed: write docs/permissions.md with {way}");
}
