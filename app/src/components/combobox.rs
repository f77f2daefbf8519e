//! A text field with suggestions, which can be chosen by mouse or keyboard or ignored.

use leptos::{ev, prelude::*};

use super::{form::told, live_form::use_filling};

/// A field with suggestions, following the ARIA combobox pattern.
#[component]
pub fn Combobox(
    /// Field name in the form; unique on the page.
    name: &'static str,
    #[prop(into)] label: String,
    value: RwSignal<String>,
    /// The current suggestions.
    #[prop(into)]
    options: Signal<Vec<String>>,
    /// Called with the text when the field gains focus and on each change.
    #[prop(into)]
    on_search: Callback<String>,
    #[prop(optional, into)] hint: Option<String>,
    #[prop(optional, into)] error: Signal<Option<String>>,
    /// An example, shown while the field is empty.
    #[prop(optional, into)]
    placeholder: Option<String>,
) -> impl IntoView {
    let open = RwSignal::new(false);
    // By its text, so that even if the list changes meanwhile, the option highlighted is the option chosen.
    let marked = RwSignal::new(None::<String>);
    let active = Memo::new(move |_| {
        marked.with(|marked| {
            let marked = marked.as_ref()?;
            options.with(|options| options.iter().position(|option| option == marked))
        })
    });
    let shown = Memo::new(move |_| open.get() && !options.with(Vec::is_empty));
    let fill = use_filling();
    let choose = move |index: usize| {
        if let Some(option) = options.with_untracked(|options| options.get(index).cloned()) {
            value.set(option);
            fill();
        }
        open.set(false);
        marked.set(None);
    };
    let step = move |by: isize| {
        open.set(true);
        let next = options.with_untracked(|options| {
            stepped(active.get_untracked(), by, options.len()).and_then(|index| options.get(index).cloned())
        });
        marked.set(next);
    };
    let keydown = move |event: ev::KeyboardEvent| match (event.key().as_str(), active.get_untracked()) {
        ("ArrowDown", _) => {
            event.prevent_default();
            step(1);
        }
        ("ArrowUp", _) => {
            event.prevent_default();
            step(-1);
        }
        ("Enter", Some(index)) if shown.get_untracked() => {
            event.prevent_default();
            choose(index);
        }
        ("Escape", _) if shown.get_untracked() => {
            // Closes the list, not the surrounding dialog.
            event.prevent_default();
            event.stop_propagation();
            open.set(false);
        }
        ("Tab", _) => open.set(false),
        _ => {}
    };
    let option_id = move |index: usize| format!("field-{name}-option-{index}");
    view! {
        <div class="field combobox">
            <label for=format!("field-{name}")>{label}</label>
            <input
                id=format!("field-{name}")
                class="code"
                name=name
                type="text"
                role="combobox"
                autocomplete="off"
                autocapitalize="none"
                spellcheck="false"
                placeholder=placeholder
                value=value.get_untracked()
                prop:value=value
                aria-autocomplete="list"
                aria-controls=format!("field-{name}-options")
                aria-expanded=move || if shown.get() { "true" } else { "false" }
                aria-activedescendant=move || active.get().filter(|_| shown.get()).map(option_id)
                aria-describedby=format!("field-{name}-hint field-{name}-error")
                aria-invalid=move || error.get().map(|_| "true")
                on:focus=move |_| on_search.run(value.get_untracked())
                on:click=move |_| open.set(true)
                on:blur=move |_| open.set(false)
                on:keydown=keydown
                on:input=move |event| {
                    value.set(event_target_value(&event));
                    marked.set(None);
                    open.set(true);
                    on_search.run(value.get_untracked());
                }
            />
            <ul id=format!("field-{name}-options") class="options" role="listbox" hidden=move || !shown.get()>
                {move || {
                    options
                        .get()
                        .into_iter()
                        .enumerate()
                        .map(|(index, option)| {
                            view! {
                                <li
                                    id=option_id(index)
                                    role="option"
                                    aria-selected=move || if active.get() == Some(index) { "true" } else { "false" }
                                    // Keeps the focus in the field; losing it would close the list first.
                                    on:mousedown=|event| event.prevent_default()
                                    on:click=move |_| choose(index)
                                >
                                    {option}
                                </li>
                            }
                        })
                        .collect_view()
                }}
            </ul>
            {hint.map(|hint| view! { <p class="hint" id=format!("field-{name}-hint")>{hint}</p> })}
            <p class="error" id=format!("field-{name}-error") aria-live="polite">{told(error)}</p>
        </div>
    }
}

/// The next active option. From none it goes to either end; at the ends it wraps around.
fn stepped(active: Option<usize>, by: isize, count: usize) -> Option<usize> {
    let last = count.checked_sub(1)?;
    Some(match (active, by.is_positive()) {
        (None, true) => 0,
        (None, false) => last,
        (Some(index), true) => {
            if index >= last {
                0
            } else {
                index + 1
            }
        }
        (Some(index), false) => index.checked_sub(1).unwrap_or(last),
    })
}

#[cfg(test)]
mod tests {
    use super::stepped;

    #[test]
    fn the_arrow_keys_wrap_around() {
        assert_eq!(stepped(None, 1, 3), Some(0));
        assert_eq!(stepped(None, -1, 3), Some(2));
        assert_eq!(stepped(Some(2), 1, 3), Some(0));
        assert_eq!(stepped(Some(0), -1, 3), Some(2));
        assert_eq!(stepped(Some(7), 1, 3), Some(0));
        assert_eq!(stepped(None, 1, 0), None);
    }
}
