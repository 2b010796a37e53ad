//! Types of subscription, and what contacts chose. (notes 2.4)
//! <https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io/subscription-types>

use super::asked::{Asked, invalid};
use super::call::{Answered, Call, Refusal, ok};
use crate::intercom::shapes;
use crate::intercom::world::{Consent, SubscriptionType};
use serde_json::{Value, json};

pub(super) fn list(call: &mut Call<'_>, _: &Asked) -> Answered {
    let data: Vec<Value> = call.inside.world.subscription_types.iter().map(shapes::subscription_type).collect();
    ok(&json!({"type": "list", "data": data}))
}

/// "Lists only explicit choices."
pub(super) fn of_contact(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let contact = call.contact(asked.named("id"))?;
    let chosen = contact.subscriptions.iter().filter_map(|id| call.inside.world.subscription_type(id));
    let data: Vec<Value> = chosen.map(shapes::subscription_type).collect();
    ok(&json!({"type": "list", "data": data}))
}

/// Attaching to an `opt_out` type opts out, to an `opt_in` type opts in. A `consent_type` that is not the type's own is
/// refused, so that nobody relies on its turning the meaning round: UNCONFIRMED.
pub(super) fn attach(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let object = asked.object()?;
    let before = call.contact(asked.named("id"))?;
    let kind = known(call, object.needed("id")?)?;
    let consent = object.needed("consent_type")?;
    if consent != kind.consent.as_str() {
        return Err(invalid(format!("consent_type of this subscription type is {}", kind.consent.as_str())));
    }
    if !before.subscriptions.contains(&kind.id) {
        choose(call, &before.id, &kind, true)?;
    }
    ok(&shapes::subscription_type(&kind))
}

/// "Undoes."
pub(super) fn detach(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let before = call.contact(asked.named("id"))?;
    let kind = known(call, asked.named("subscription_id"))?;
    if before.subscriptions.contains(&kind.id) {
        choose(call, &before.id, &kind, false)?;
    } else if call.shared.options.variants.absent_is_refused {
        return Err(Refusal::not_found());
    }
    ok(&shapes::subscription_type(&kind))
}

fn known(call: &Call<'_>, id: &str) -> Result<SubscriptionType, Refusal> {
    call.inside.world.subscription_type(id).cloned().ok_or_else(Refusal::not_found)
}

fn choose(call: &mut Call<'_>, contact: &str, kind: &SubscriptionType, attached: bool) -> Result<(), Refusal> {
    let now_ms = call.now_ms();
    let contact = call.world().edit_contact(contact, now_ms, |contact| {
        if attached {
            contact.subscriptions.insert(kind.id.clone());
        } else {
            contact.subscriptions.remove(&kind.id);
        }
    })?;
    let wants = match kind.consent {
        Consent::OptIn => attached,
        Consent::OptOut => !attached,
    };
    call.tell(|shared, world| shared.consent(world, &contact, Some(kind), wants));
    Ok(())
}
