//! From what somebody typed to values that are known to be good. Everything that is wrong is
//! reported at once, under the names that the REST interface has for the fields.

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

/// The longest text in fields without a grammar of their own.
const MAX_TEXT: usize = 255;
/// The longest address of a registry or proxy, in bytes.
const MAX_ADDRESS: usize = 2_048;
/// The longest list of patterns, in characters, with a comma and a blank behind each.
const MAX_PATTERN_LIST: usize = MAX_PATTERNS * (MAX_PATTERN_LENGTH + 2);
/// The longest password or token of a remote.
const MAX_SECRET: usize = 16 * 1024;

/// The fields that are wrong so far, each with the code that it has where it is the only one.
#[derive(Default)]
pub(crate) struct Fields(Vec<(Option<Code>, FieldError)>);

impl Fields {
    pub(crate) fn refuse(&mut self, field: impl Into<String>, message: impl Display) {
        self.0.push((None, FieldError::new(field, message.to_string())));
    }

    pub(crate) fn refuse_as(&mut self, code: Code, field: impl Into<String>, message: impl Display) {
        self.0.push((Some(code), FieldError::new(field, message.to_string())));
    }

    /// The value, or a note about the field.
    pub(crate) fn take<T, E: Display>(&mut self, field: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.refuse(field, error)).ok()
    }

    /// The value, or a note about the field with a code of its own.
    pub(crate) fn take_as<T, E: Display>(
        &mut self,
        code: Code,
        field: &str,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|error| self.refuse_as(code, field, error)).ok()
    }

    /// The value, or what another check found wrong about its fields. A problem that is about no
    /// field (nobody is signed in, the database failed) ends the whole check.
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
            self.refuse(field, format!("at most {max} characters are allowed here, not {length}"));
        }
    }

    /// An address, unless it is too long, as it was typed or as it is kept.
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

    /// All is well only where nothing was refused. `code` is that of the whole; where all that is
    /// wrong has one code of its own, that one tells more.
    pub(crate) fn finish(self, code: Code) -> Result<(), Problem> {
        let (codes, errors): (Vec<_>, Vec<_>) = self.0.into_iter().unzip();
        let common =
            codes.first().copied().flatten().filter(|first| codes.iter().all(|c| *c == Some(*first)));
        Problem::fields(common.unwrap_or(code), errors).map_or(Ok(()), Err)
    }

    /// The values, which are all there where nothing was refused.
    pub(crate) fn finish_with<T>(self, code: Code, values: Option<T>) -> Result<T, Problem> {
        self.finish(code)?;
        Ok(values.expect("a value is missing only where its field was refused"))
    }
}

/// Rules of a policy; none mean *every tag*, which has to be said (semantics 10).
pub(crate) fn rules(fields: &mut Fields, raw: &[RawRule], every_tag: bool) -> Option<Rules> {
    if every_tag && !raw.is_empty() {
        fields.refuse("rules", "choose either rules or “every tag”; remove the rules to take every tag");
        return None;
    }
    match Rules::parse(raw.to_vec(), every_tag) {
        Ok(rules) => Some(rules),
        // The list as a whole stops at its first mistake; a person wants to see them all.
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

/// A tag template, tried at a moment in the server's zone; empty means `%n`.
pub(crate) fn template(fields: &mut Fields, text: &str, moment: &Moment) -> Option<Template> {
    match text.trim() {
        "" => Some(Template::source_tag()),
        text => {
            fields.take("tagTemplate", Template::parse(text).and_then(|template| template.try_at(moment)))
        }
    }
}

/// Tag patterns of a pull mirror; empty means `*`.
pub(crate) fn patterns(fields: &mut Fields, text: &str) -> Option<String> {
    let text = if text.trim().is_empty() { "*" } else { text.trim() };
    // Commas and blanks make no pattern, so the number of patterns alone bounds nothing.
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

/// Settings of a connection that are well-formed; whether they work is what Connect finds out.
#[derive(Clone)]
pub(crate) struct RemoteSettings {
    pub(crate) name: String,
    pub(crate) kind: RemoteKind,
    /// Scheme, host and port; no slash at the end.
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

/// Scheme, host and port without the slash that [`Url`] puts behind them.
pub(crate) fn origin(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// Checks all but the owner, which depends on where the settings are used.
pub(crate) fn remote(fields: &mut Fields, draft: &RemoteDraft) -> Option<RemoteSettings> {
    let url = fields.address("remoteHost", draft.url.trim(), |typed| Endpoint::parse_url(draft.kind, typed));
    fields.text("name", &draft.name, MAX_TEXT);
    fields.text("username", &draft.username, MAX_TEXT);
    let username = draft.username.trim();
    if username.chars().any(|c| c == ':' || c.is_control()) {
        fields.refuse("username", "a user name has no colon, which separates it from the password");
    }
    let secret = draft.secret.as_deref().filter(|secret| !secret.is_empty());
    if secret.is_some_and(|secret| secret.len() > MAX_SECRET) {
        fields.refuse("password", format!("a password or token has at most {MAX_SECRET} bytes"));
    }
    if secret.is_some() && username.is_empty() {
        fields.refuse(
            "username",
            "a password goes with a user name; type it, or leave both empty to connect anonymously",
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
            Err("write the proxy as http://host:port, without user name and password".to_owned())
        }
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            Err("a proxy is reached by http:// or https://".to_owned())
        }
        Ok(url) => Ok(url),
        Err(error) => Err(format!("this is no address ({error}); write http://host:port")),
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
    fn semantics_10_no_rules_need_the_choice_of_every_tag() {
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
    fn every_text_of_a_remote_or_mirror_that_is_stored_has_an_end() {
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
    fn an_address_is_bounded_as_it_is_kept_too() {
        let mut fields = Fields::default();
        // Each of these letters takes seven in the alphabet of host names.
        let url = format!("https://{}", ["ü"; 300].join("."));
        assert!(url.len() < MAX_ADDRESS);
        remote(&mut fields, &RemoteDraft { url, ..RemoteDraft::default() });
        assert_eq!(names(fields), ["remoteHost"]);
    }

    #[test]
    fn a_password_without_a_user_name_is_refused() {
        let mut fields = Fields::default();
        let secret = Some("hunter2".to_owned());
        let draft = RemoteDraft { url: "host".to_owned(), secret, ..RemoteDraft::default() };
        remote(&mut fields, &draft);
        assert_eq!(names(fields), ["username"]);
    }

    #[test]
    fn what_is_left_empty_has_its_usual_meaning() {
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
