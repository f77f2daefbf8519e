//! Confirmation before something is lost.

use leptos::{html, prelude::*};

use super::{Button, ButtonKind, FieldKind, FormProblem, LiveForm, TextField};
use crate::error::AppError;

/// A button that asks for confirmation. Needs script. Its children say what will be lost.
#[component]
pub fn ConfirmButton(
    /// The label of this button and of the one that confirms: "Delete".
    #[prop(into)]
    label: String,
    /// The style of the first button.
    #[prop(default = ButtonKind::Danger)]
    kind: ButtonKind,
    /// The question: "Delete the policy to qa/website?".
    #[prop(into)]
    title: Signal<String>,
    /// The text to type to confirm something irreversible.
    #[prop(optional, into)]
    name: Option<String>,
    /// Whether the action is running.
    #[prop(optional, into)]
    busy: Signal<bool>,
    /// The error of the last attempt.
    #[prop(optional, into)]
    problem: Signal<Option<AppError>>,
    /// The action.
    #[prop(into)]
    on_confirm: Callback<()>,
    /// What will be lost.
    children: ChildrenFn,
) -> impl IntoView {
    let open = RwSignal::new(false);
    let confirm_label = StoredValue::new(label.clone());
    let name = StoredValue::new(name);
    let children = StoredValue::new(children);
    view! {
        <Button kind=kind on_press=move || open.set(true)>
            {label}
        </Button>
        <Show when=move || open.get()>
            <Confirmation
                open=open
                title=title
                label=confirm_label.get_value()
                name=name.get_value()
                busy=busy
                problem=problem
                on_confirm=on_confirm
            >
                {children.with_value(|children| children())}
            </Confirmation>
        </Show>
    }
}

/// The dialog of a [`ConfirmButton`].
#[component]
fn Confirmation(
    open: RwSignal<bool>,
    title: Signal<String>,
    label: String,
    name: Option<String>,
    busy: Signal<bool>,
    problem: Signal<Option<AppError>>,
    on_confirm: Callback<()>,
    children: Children,
) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move |_| {
        if let Some(dialog) = dialog.get()
            && !dialog.open()
        {
            // Fails only if the dialog is already open or detached, which it is not.
            let _ = dialog.show_modal();
        }
    });
    let typed = RwSignal::new(String::new());
    let wanted = StoredValue::new(name.clone());
    let matches = move || wanted.with_value(|name| name.as_ref().is_none_or(|name| *name == typed.get()));
    let submit = move || {
        if matches() {
            on_confirm.run(());
        }
    };
    // The dialog is inside the form or table it asks about, so its events must not bubble.
    view! {
        <dialog class="confirm" aria-labelledby="confirm-title" node_ref=dialog on:close=move |_| open.set(false)>
            <LiveForm on_submit=submit>
                <h2 id="confirm-title">{title}</h2>
                <div class="confirm-text">{children()}</div>
                {name
                    .map(|name| {
                        view! {
                            <TextField
                                name="confirm-name"
                                label=format!("Type {name} to confirm")
                                value=typed
                                kind=FieldKind::Code
                            />
                        }
                    })}
                <FormProblem problem=problem fields=&[]/>
                <div class="form-actions">
                    <Button on_press=move || {
                        if let Some(dialog) = dialog.get_untracked() {
                            dialog.close();
                        }
                    }>"Cancel"</Button>
                    <Button kind=ButtonKind::Danger busy=busy disabled=Signal::derive(move || !matches())>
                        {label}
                    </Button>
                </div>
            </LiveForm>
        </dialog>
    }
}
