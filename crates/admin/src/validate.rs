//! Validation of input. All errors are reported at once, under the field names of the REST interface.

use longshore_model::{
    Code, FieldError, Problem, RemoteKind,
    policy::{MAX_POLL_INTERVAL_SECONDS, MIN_POLL_INTERVAL_SECONDS},
    remote::RemoteDraft,
};
use longshore_oci::{RemoteName, Tag};
use longshore_policy::{
    MAX_PATTERN_LENGTH, MAX_PATTERNS, Moment, Patterns, RawRule, Rule, RulePart, Rules, RulesError, Template,
};
use longshore_remote::{Authorities, Endpoint};
use secrecy::SecretString;
use std::fmt::Display;
use url::Url;

/// The maximum length of text in fields without a grammar of their own, in characters.
const MAX_TEXT: usize = 255;
/// The maximum length of the address of a registry or proxy, in bytes.
const MAX_ADDRESS: usize = 2_048;
/// The maximum length of a list of patterns, in characters, with a comma and a space after each.
const MAX_PATTERN_LIST: usize = MAX_PATTERNS * (MAX_PATTERN_LENGTH + 2);
/// The maximum length of a password or token of a remote, in bytes.
const MAX_SECRET: usize = 16 * 1024;

/// The invalid fields so far. Each may have its own code, which is used if all have the same.
#[derive(Default)]
pub(crate) struct Fields(Vec<(Option<Code>, FieldError)>);

impl Fields {
    pub(crate) fn refuse(&mut self, field: impl Into<String>, message: impl Display) {
        self.0.push((None, FieldError::new(field, message.to_string())));
    }

    pub(crate) fn refuse_as(&mut self, code: Code, field: impl Into<String>, message: impl Display) {
        self.0.push((Some(code), FieldError::new(field, message.to_string())));
    }

    /// The value; an error is recorded for the field.
    pub(crate) fn take<T, E: Display>(&mut self, field: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.refuse(field, error)).ok()
    }

    /// The value; an error is recorded for the field, with its own code.
    pub(crate) fn take_as<T, E: Display>(
        &mut self,
        code: Code,
        field: &str,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|error| self.refuse_as(code, field, error)).ok()
    }

    /// The value; the errors that another check recorded for its fields are added. A problem that concerns no field
    /// (nobody is signed in, the database failed) ends the whole check.
    pub(crate) fn take_problem<T>(&mut self, result: Result<T, Problem>) -> Result<Option<T>, Problem> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(problem) if problem.fields.is_empty() => Err(problem),
            Err(Problem { code, fields, .. }) => {
                self.0.extend(fields.into_iter().map(|error| (Some(code), error)));
                Ok(None)
            }
        }
    }

    pub(crate) fn text(&mut self, field: &str, text: &str, max: usize) {
        let length = text.chars().count();
        if length > max {
            self.refuse(field, format!("at most {max} characters are allowed, not {length}"));
        }
    }

    /// An address, which must not be too long, neither as entered nor as stored.
    fn address<E: Display>(
        &mut self,
        field: &str,
        typed: &str,
        read: impl FnOnce(&str) -> Result<Url, E>,
    ) -> Option<Url> {
        let too_long = |text: &str| text.len() > MAX_ADDRESS;
        let url = match too_long(typed) {
            true => None,
            false => Some(self.take(field, read(typed))?),
        };
        match url.filter(|url| !too_long(&origin(url))) {
            Some(url) => Some(url),
            None => {
                self.refuse(field, format!("an address has at most {MAX_ADDRESS} bytes"));
                None
            }
        }
    }

    /// Succeeds if no field is invalid. `code` is the code of the problem, unless all errors have the same, more
    /// specific one.
    pub(crate) fn finish(self, code: Code) -> Result<(), Problem> {
        let (codes, errors): (Vec<_>, Vec<_>) = self.0.into_iter().unzip();
        let common =
            codes.first().copied().flatten().filter(|first| codes.iter().all(|c| *c == Some(*first)));
        Problem::fields(common.unwrap_or(code), errors).map_or(Ok(()), Err)
    }

    /// The values, which exist if no field is invalid.
    pub(crate) fn finish_with<T>(self, code: Code, values: Option<T>) -> Result<T, Problem> {
        self.finish(code)?;
        Ok(values.expect("a value is missing only if its field was rejected"))
    }
}

/// The rules of a policy. To match *every tag*, `every_tag` must be set (semantics 10).
pub(crate) fn rules(fields: &mut Fields, raw: &[RawRule], every_tag: bool) -> Option<Rules> {
    if every_tag && !raw.is_empty() {
        fields.refuse("rules", "choose either rules or “every tag”; remove the rules to take every tag");
        return None;
    }
    match Rules::parse(raw.to_vec(), every_tag) {
        Ok(rules) => Some(rules),
        // Parsing the list stops at its first mistake; the user should see them all.
        Err(RulesError::Rule { .. }) => {
            for (index, rule) in raw.iter().enumerate() {
                if let Err(error) = Rule::parse(rule.clone()) {
                    let part = match error.part() {
                        RulePart::Field => "field",
                        RulePart::Operator => "operator",
                        RulePart::Values => "values",
                    };
                    fields.refuse(format!("rules[{index}].{part}"), error);
                }
            }
            None
        }
        Err(error) => {
            fields.refuse("rules", error);
            None
        }
    }
}

/// A tag template, tested at a moment in the server's time zone; empty means `%n`.
pub(crate) fn template(fields: &mut Fields, text: &str, moment: &Moment) -> Option<Template> {
    match text.trim() {
        "" => Some(Template::source_tag()),
        text => {
            fields.take("tagTemplate", Template::parse(text).and_then(|template| template.try_at(moment)))
        }
    }
}

/// The tag patterns of a pull mirror; empty means `*`.
pub(crate) fn patterns(fields: &mut Fields, text: &str) -> Option<String> {
    let text = if text.trim().is_empty() { "*" } else { text.trim() };
    // Commas and spaces form no pattern, so the number of patterns does not limit the length.
    fields.text("patterns", text, MAX_PATTERN_LIST);
    fields.take("patterns", Patterns::parse(text).map(|_| text.to_owned()))
}

pub(crate) fn interval(fields: &mut Fields, seconds: u32) {
    if !(MIN_POLL_INTERVAL_SECONDS..=MAX_POLL_INTERVAL_SECONDS).contains(&seconds) {
        fields.refuse(
            "interval",
            format!(
                "the time between two polls is {MIN_POLL_INTERVAL_SECONDS} to {MAX_POLL_INTERVAL_SECONDS} \
                 seconds, not {seconds}; 1800 is half an hour"
            ),
        );
    }
}

pub(crate) fn remote_repository(fields: &mut Fields, text: &str) -> Option<RemoteName> {
    fields.take("remoteRepository", text.trim().parse())
}

pub(crate) fn tag(fields: &mut Fields, field: &str, text: &str) -> Option<Tag> {
    fields.take(field, text.trim().parse())
}

/// Well-formed settings of a connection; whether they work is tested by Connect.
#[derive(Clone)]
pub(crate) struct RemoteSettings {
    pub(crate) name: String,
    pub(crate) kind: RemoteKind,
    /// Scheme, host and port, without a trailing slash.
    pub(crate) url: Url,
    pub(crate) username: String,
    pub(crate) secret: Option<SecretString>,
    pub(crate) ca_pem: Option<String>,
    pub(crate) skip_tls_verify: bool,
    pub(crate) proxy: Option<Url>,
}

impl RemoteSettings {
    /// The address as it is stored and shown.
    pub(crate) fn url_text(&self) -> String {
        origin(&self.url)
    }
}

/// Scheme, host and port, without the slash that [`Url`] appends.
pub(crate) fn origin(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// Checks everything except the owner, which depends on where the settings are used.
pub(crate) fn remote(fields: &mut Fields, draft: &RemoteDraft) -> Option<RemoteSettings> {
    let url = fields.address("remoteHost", draft.url.trim(), |typed| Endpoint::parse_url(draft.kind, typed));
    fields.text("name", &draft.name, MAX_TEXT);
    fields.text("username", &draft.username, MAX_TEXT);
    let username = draft.username.trim();
    if username.chars().any(|c| c == ':' || c.is_control()) {
        fields.refuse("username", "a username cannot contain a colon or control characters");
    }
    let secret = draft.secret.as_deref().filter(|secret| !secret.is_empty());
    if secret.is_some_and(|secret| secret.len() > MAX_SECRET) {
        fields.refuse("password", format!("a password or token has at most {MAX_SECRET} bytes"));
    }
    if secret.is_some() && username.is_empty() {
        fields.refuse(
            "username",
            "a password requires a username; enter one, or leave both empty to connect anonymously",
        );
    }
    let ca = Some(draft.ca_pem.trim()).filter(|pem| !pem.is_empty());
    let ca = ca.and_then(|pem| fields.take("remoteCA", Authorities::parse(pem)));
    let proxy = proxy(fields, &draft.proxy);
    Some(RemoteSettings {
        name: draft.name.trim().to_owned(),
        kind: draft.kind,
        url: url?,
        username: username.to_owned(),
        secret: secret.map(|secret| SecretString::from(secret.to_owned())),
        ca_pem: ca.map(|ca| ca.to_pem()),
        skip_tls_verify: draft.skip_tls_verify,
        proxy,
    })
}

fn proxy(fields: &mut Fields, text: &str) -> Option<Url> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    fields.address("proxy", text, |typed| match Url::parse(typed) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() || !url.has_host() => {
            Err("enter the proxy as http://host:port, without username and password".to_owned())
        }
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            Err("the address of a proxy starts with http:// or https://".to_owned())
        }
        Ok(url) => Ok(url),
        Err(error) => Err(format!("invalid address ({error}); enter http://host:port")),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn raw(field: &str, operator: &str, values: &[&str]) -> RawRule {
        RawRule {
            field: field.to_owned(),
            operator: operator.to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        }
    }

    fn names(fields: Fields) -> Vec<String> {
        fields.0.into_iter().map(|(_, error)| error.field).collect()
    }

    #[test]
    fn semantics_10_every_wrong_rule_is_reported_under_its_own_name() {
        let mut fields = Fields::default();
        let list = [
            raw("tag", "ew", &["stable"]),
            raw("license.name", "oo", &["MIT"]),
            raw("tag", "between", &["a"]),
            raw("tag", "c", &[]),
            raw("tag", "m", &["("]),
        ];
        assert_eq!(rules(&mut fields, &list, false), None);
        assert_eq!(
            names(fields),
            ["rules[1].field", "rules[2].operator", "rules[3].values", "rules[4].values"]
        );
    }

    #[test]
    fn semantics_10_a_policy_without_rules_requires_every_tag_to_be_chosen() {
        let mut fields = Fields::default();
        assert_eq!(rules(&mut fields, &[], true), Some(Rules::EveryTag));
        assert_eq!(rules(&mut fields, &[], false), None);
        assert_eq!(rules(&mut fields, &[raw("tag", "c", &["x"])], true), None);
        assert_eq!(names(fields), ["rules", "rules"]);
    }

    #[test]
    fn every_wrong_field_of_a_remote_is_reported_at_once() {
        let mut fields = Fields::default();
        let draft = RemoteDraft {
            url: "https://me:pw@host".to_owned(),
            username: "a:b".to_owned(),
            ca_pem: "no certificate".to_owned(),
            proxy: "socks5://host".to_owned(),
            ..RemoteDraft::default()
        };
        assert!(remote(&mut fields, &draft).is_none());
        assert_eq!(names(fields), ["remoteHost", "username", "remoteCA", "proxy"]);
    }

    #[test]
    fn every_stored_text_of_a_remote_or_mirror_has_a_maximum_length() {
        let mut fields = Fields::default();
        let long = "a".repeat(MAX_SECRET + 1);
        let draft = RemoteDraft {
            name: long.clone(),
            url: format!("https://{long}.example"),
            username: long.clone(),
            secret: Some(long.clone()),
            ca_pem: "-".repeat(300_000),
            proxy: format!("http://{long}.example"),
            ..RemoteDraft::default()
        };
        assert!(remote(&mut fields, &draft).is_none());
        patterns(&mut fields, &format!("1.*{}", ",".repeat(MAX_PATTERN_LIST)));
        template(&mut fields, &long, &Moment::utc(longshore_model::Timestamp::UNIX_EPOCH));
        remote_repository(&mut fields, &long);
        tag(&mut fields, "newTag", &long);
        let told: Vec<String> = fields.0.iter().map(|(_, error)| error.message.clone()).collect();
        let limits = ["2048", "255", "255", "16384", "262144", "2048", "51600", "255", "255", "128"];
        assert_eq!(
            names(fields),
            [
                "remoteHost",
                "name",
                "username",
                "password",
                "remoteCA",
                "proxy",
                "patterns",
                "tagTemplate",
                "remoteRepository",
                "newTag"
            ]
        );
        for (message, limit) in told.iter().zip(limits) {
            assert!(message.contains(limit) && message.len() < 500, "{message} says {limit}");
        }
    }

    #[test]
    fn an_address_must_not_be_too_long_as_it_is_stored_either() {
        let mut fields = Fields::default();
        // Each of these letters takes seven bytes in Punycode.
        let url = format!("https://{}", ["ü"; 300].join("."));
        assert!(url.len() < MAX_ADDRESS);
        remote(&mut fields, &RemoteDraft { url, ..RemoteDraft::default() });
        assert_eq!(names(fields), ["remoteHost"]);
    }

    #[test]
    fn a_password_without_a_username_is_rejected() {
        let mut fields = Fields::default();
        let secret = Some("hunter2".to_owned());
        let draft = RemoteDraft { url: "host".to_owned(), secret, ..RemoteDraft::default() };
        remote(&mut fields, &draft);
        assert_eq!(names(fields), ["username"]);
    }

    #[test]
    fn empty_fields_have_their_default_meaning() {
        let mut fields = Fields::default();
        assert_eq!(
            template(&mut fields, " ", &Moment::utc(longshore_model::Timestamp::UNIX_EPOCH)).unwrap(),
            Template::source_tag()
        );
        assert_eq!(patterns(&mut fields, "").unwrap(), "*");
        let draft = RemoteDraft { kind: RemoteKind::DockerHub, ..RemoteDraft::default() };
        assert_eq!(remote(&mut fields, &draft).unwrap().url_text(), "https://index.docker.io");
        assert!(names(fields).is_empty());
    }
}
