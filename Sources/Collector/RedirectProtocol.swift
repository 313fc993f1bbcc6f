import Events
import HTTPServer

/// Our own click link: `GET /r/c?u=DESTINATION&k=KEY&s=SIGNATURE&cid=…`, answered with 302 to the
/// destination when the click is durable. Whoever follows it arrives all the same where the click
/// cannot be stored.
///
/// | field | meaning |
/// |---|---|
/// | `u` | the destination, an absolute address of `http` or `https` |
/// | `s` | its signature (``LinkSigner``); not needed where the destination's host is listed |
///
/// The others are ``PixelFields``; `t` says nothing, the event is a click. The signature binds `u` to
/// `k` and leaves the others to whoever fills the link in for a recipient. A link that is neither signed
/// nor to a listed host leads nowhere: 400, and nothing is stored.
enum RedirectProtocol {
  static let declaration = IngestProtocol(
    name: "redirect", bodyBytesMax: 0,
    endpoints: [IngestEndpoint(method: .get, path: place, isLink: true, read: read)],
    answer: SegmentProtocol.answer)

  static let place = "/r/c"

  static func read(_ input: IngestInput) -> IngestReading {
    var address = ""
    var signature = ""
    var query = PixelQuery(input.query) { name, value in
      if name == "u" { address = value }
      if name == "s" { signature = value }
      return name == "s"
    }
    guard let destination = RedirectDestination(address) else {
      return .problem(
        code: "bad_destination",
        detail: "u is an absolute address of http or https, without user name and control "
          + "characters, its host in ASCII, percent-encoded.")
    }
    guard
      input.redirects.allows(host: destination.host)
        || input.redirects.isSigned(destination.address, query.fields.key, signature)
    else {
      return .problem(
        code: "destination_not_allowed",
        detail: "This link may not lead there: make it with `smartcontent links sign`, or list the "
          + "host with --redirect-hosts.")
    }
    let onward = PreparedResponse(
      status: .found,
      headers: [
        (name: "Location", value: destination.location), (name: "Cache-Control", value: "no-store"),
      ])
    query.fields.page = destination.address
    guard let key = input.keys.find(query.fields.key) else {
      return .unknownKeyOnLink(FastResponse(onward))
    }
    let reply = IngestReply(
      stored: { FastResponse(onward, extraHeaders: $0.positionHeader) },
      unavailable: FastResponse(onward))
    do {
      let event = try query.event(protocolName: "redirect", kind: .click, key: key, input)
      return .events([event], rejected: [], key, reply: reply)
    } catch {
      let rejection = Rejection(error, place: place, body: input.query)
      return .events([], rejected: [rejection], key, reply: reply)
    }
  }
}
