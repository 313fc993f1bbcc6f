public import HTTPServer

/// The tracker that pages load from `/t.js`: one script without dependencies, at most 2,048 bytes in gzip.
///
///     <script async src="https://HOST/t.js" data-key="KEY"></script>
///
///     <article data-content="post-1" data-campaign="spring" data-variant="a" data-channel="web">…</article>
///
/// | attribute of the script | meaning |
/// |---|---|
/// | `data-key` | write key |
/// | `data-content` `data-campaign` `data-variant` `data-channel` | of the page itself; elements around the script may have them too |
/// | `data-decision` | the token of a decision, on a content or around it: sent back with its events |
/// | `data-consent="required"` | keeps events in memory until there is consent, and drops them when it is refused |
/// | `data-dnt="ignore"` | a Do Not Track signal is passed over; Global Privacy Control never is |
///
/// Sent are, with ids that are UUIDv7 made in the browser:
///
/// * a **view** when the page is first visible, when the address changes without its fragment, and when the
///   browser brings the page back;
/// * an **impression** of each content, an element with `data-content`, that was half visible for a second
///   without a break; of one taller than the window, as much as half the window is enough. Once for each
///   view. Campaign, variant and channel are the element's or those of the next one around it;
/// * a **click**, by any button but the right one, anywhere in a content;
/// * an **engagement** of each content that had its impression, with the time it was in view in milliseconds
///   as `dw`, and one of the page (`page`), with the furthest scrolled percentage as `sd`: when the page is
///   left or hidden, each time for what came since;
/// * what the page says: `smartcontent('conversion', {value, currency, content, …})`, `smartcontent('custom',
///   {n: NAME, …})`, `smartcontent('identify', USER)`, `smartcontent('alias', USER, EARLIER)`.
///
/// `smartcontent('consent', true)` and `false` are remembered for later pages; refusal removes what is stored
/// and the anonymous id. With Do Not Track or Global Privacy Control nothing is stored or sent. A page
/// that calls before the script is there defines:
///
///     window.smartcontent = window.smartcontent || function () { (smartcontent.q = smartcontent.q || []).push(arguments) }
///
/// **Nothing is lost, nothing counts twice.** An event is in `localStorage` (`sc:KEY:ID`; in memory where there
/// is none) until the collector has confirmed it, or refused it with 400 or 403. Batches go to `/v1/e` of the script's
/// origin, again after any other answer or none: after Retry-After and a pause that doubles up to two minutes, at random. When the page is
/// left they go by `sendBeacon`, of which no answer is seen, so the next page sends them once more: the log
/// knows copies by their ids, for a day, and an event that was first tried 22 hours ago is given up. Tabs
/// share the store and each event is an entry of its own, so none overwrites another's. Beyond 60,000 characters
/// the oldest go, and the next event says how many in `drop`. An event of more than 10,000 is not taken.
public enum BrowserTracker {
  /// Declares `GET /t.js`. A page may load it from anywhere; its code is public.
  public static func declare(on routes: inout Routes) {
    let file = ScriptFile(script)
    routes.fast(.get, "/t.js") { request, _ in file.answer(to: request) }
  }

  static let source = PackageResources.t_js
  /// As it is sent.
  static let script = SqueezedScript.bytes(of: source)
}
