/// A property that the senders of events name themselves, and where the protocols have it.
///
/// | protocol | payload |
/// |---|---|
/// | Segment, RudderStack, PostHog | `properties.plan`; of who a person is `traits.plan` |
/// | CloudEvents | `data.plan` |
/// | GA4 | `events[].params.plan` |
/// | pixel, beacon, browser tracker, Snowplow, Matomo | the field `plan` |
///
/// Dots in a name are part of it, or lead into objects: `cart.size` is `properties["cart.size"]`, else
/// `properties.cart.size`. Values are texts, numbers and words as they are written; objects, `null` and what is empty
/// count as not there.
struct EventProperty: Hashable {
  let name: String

  /// Names from the outermost member inwards, the best place first.
  var places: [[String]] {
    let outer = [["properties"], ["data"], ["events", "params"], ["traits"], []]
    let inner = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    let plain = outer.map { $0 + [name] }
    return inner.count == 1 ? plain : plain + outer.map { $0 + inner }
  }
}
