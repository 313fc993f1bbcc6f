public import Events
public import HTTPServer

/// What a protocol reads: the bytes of one request and what the collector knows. The buffers are
/// valid only during the call.
public struct IngestInput {
  public let query: UnsafeRawBufferPointer
  /// Inflated where it came compressed.
  public let body: UnsafeRawBufferPointer
  public let header: (String) -> String?
  /// All fields of the header in the order in which they came, with their names as they came.
  public let headerFields: () -> [(name: String, value: String)]
  public let keys: WriteKeyTable
  /// The collector's clock, microseconds since the epoch.
  public let receivedAt: Int64
  /// An id for an event of a client that never sends twice.
  public let uniqueID: () -> String
  /// What clients that are sent on to another address may be sent to.
  public let redirects: RedirectPolicy
  /// Whether the client speaks TLS; see ``FastRequest/isSecure``.
  var isSecure = false
  /// Whether events of a batch that are like others may be handed on as rows, see ``EventRows``.
  package var takesRows = false
  /// Of earlier requests; nil where there are none.
  var keptTemplates: KeptTemplates?

  public init(
    query: UnsafeRawBufferPointer, body: UnsafeRawBufferPointer,
    header: @escaping (String) -> String?,
    headerFields: @escaping () -> [(name: String, value: String)] = { [] }, keys: WriteKeyTable,
    receivedAt: Int64, uniqueID: @escaping () -> String, redirects: RedirectPolicy = .none
  ) {
    self.query = query
    self.body = body
    self.header = header
    self.headerFields = headerFields
    self.keys = keys
    self.receivedAt = receivedAt
    self.uniqueID = uniqueID
    self.redirects = redirects
  }
}

/// What a protocol made of a request.
public enum IngestReading: Sendable {
  /// The events that are accepted and those that are not; both are to be stored.
  case events([IncomingEvent], rejected: [Rejection], WriteKey, reply: IngestReply = IngestReply())
  /// The request as a whole is not accepted; it is stored as one dead letter.
  case refused(Rejection, WriteKey)
  /// No write key, or an unknown one. Nothing is stored.
  case unknownKey
  /// As ``unknownKey``, where somebody follows a link that may lead on: it is answered with this. Links
  /// outlive the keys that they were made with.
  case unknownKeyOnLink(FastResponse)
  /// Not accepted and not stored: it cannot be told whose it is, or it is beyond a limit.
  case problem(code: String, detail: String)
}

extension IngestReading {
  /// The events of a batch.
  ///
  /// - Parameters:
  ///   - events: the whole ones.
  ///   - text: that the rows borrow.
  static func batch(
    _ rows: EventRows, _ events: [IncomingEvent], in text: UnsafeRawBufferPointer,
    rejected: [Rejection], _ key: WriteKey, reply: IngestReply = IngestReply(), takesRows: Bool
  ) -> IngestReading {
    var reply = reply
    if takesRows, rows.hasAlike {
      reply.rows = rows
      return .events(events, rejected: rejected, key, reply: reply)
    }
    let (all, likeness) = rows.whole(events, in: text)
    reply.likeness = likeness
    return .events(all, rejected: rejected, key, reply: reply)
  }
}

/// How one request is answered where that is not as its protocol answers all.
public struct IngestReply: Sendable {
  /// The answer once the events are durable; nil: the protocol's.
  public var stored: (@Sendable (StoredAnswer) -> FastResponse)?
  /// The answer where they cannot be stored now; nil: 503 with Retry-After. Somebody who follows a
  /// link is to arrive all the same.
  public var unavailable: FastResponse?
  /// Whether ``stored`` names every refused event, so that its sender hears of them also where nothing
  /// else was sent; else a request of which nothing can be used is refused as a whole.
  public var namesRefused: Bool
  /// Of each event that is accepted, or of none.
  var likeness: [EventTemplates.Likeness] = []
  /// All events that are accepted, where those of the reading are only the whole ones. They borrow the body.
  var rows: EventRows?
  /// Those of the rows, for later requests; they belong to this one until they are put back.
  var templates: [EventTemplates.Template] = []

  public init(
    stored: (@Sendable (StoredAnswer) -> FastResponse)? = nil, unavailable: FastResponse? = nil,
    namesRefused: Bool = false
  ) {
    self.stored = stored
    self.unavailable = unavailable
    self.namesRefused = namesRefused
  }

  init(templates: [EventTemplates.Template]) {
    self.init()
    self.templates = templates
  }
}

/// One address of a protocol.
public struct IngestEndpoint: Sendable {
  public let method: HTTPMethod
  public let path: String
  /// Whether people follow it as a link: then they are sent on whatever becomes of their event, also
  /// while the collector is overloaded, and so is a HEAD, which counts nothing.
  public let isLink: Bool
  /// The field of the query that names the write key, where there is one; by it a request can be refused
  /// before its body is read.
  public let keyField: StaticString
  /// A pure function: the same input, the same reading.
  public let read: @Sendable (IngestInput) -> IngestReading

  public init(
    method: HTTPMethod, path: String, isLink: Bool = false, keyField: StaticString = "k",
    read: @escaping @Sendable (IngestInput) -> IngestReading
  ) {
    self.method = method
    self.path = path
    self.isLink = isLink
    self.keyField = keyField
    self.read = read
  }
}

/// A way in. Adding one is a file with a value of this type and a line in ``ProtocolCatalog``.
public struct IngestProtocol: Sendable {
  /// Part of the events' source and a metric's label.
  public let name: String
  /// The longest body, on the wire and inflated.
  public let bodyBytesMax: Int
  public fileprivate(set) var endpoints: [IngestEndpoint]
  /// The answer to a request whose events are durable.
  public let answer: @Sendable (StoredAnswer) -> FastResponse
  /// The body of a request that has one event alone at its place in a batch, by which the event is read
  /// again once it was refused; nil where it can't be. What the dead letter of an event keeps must be
  /// enough for it.
  public var requestAgain: @Sendable (BatchPlace, _ event: [UInt8]) -> [UInt8]? =
    BatchPlace.request
  /// Where an event's payload has the properties that schemas are about.
  public var properties = PropertiesPlace.none
  /// How its clients send their write key, for those who forgot it: `send it …`.
  public var keyAdvice = "as k in the query, or by Basic or Bearer authorization"
}

/// Where in the payload of an event the properties stand that its sender chose.
public enum PropertiesPlace: Hashable, Sendable {
  /// The payload has nothing but the protocol's own fields; schemas say nothing of it.
  case none
  /// Names from the payload inwards, `0` for the first element of an array. The first place that is
  /// there counts; where none is, there are no properties.
  case first([[String]])
}

/// What the answer to a stored request says.
public struct StoredAnswer: Sendable {
  /// The text of the request's ``Position``; nil while its events wait in the collector's spool.
  public let position: String?
  /// The position as a header line, or one that says that there is none yet.
  public let positionHeader: [UInt8]
  public let rejected: [RejectedEvent]

  public init(position: String?, positionHeader: [UInt8], rejected: [RejectedEvent]) {
    self.position = position
    self.positionHeader = positionHeader
    self.rejected = rejected
  }
}

/// A rejected event in an answer.
public struct RejectedEvent: Sendable {
  public let index: Int
  public let code: String
  public let message: String
}

/// Every protocol of the collector.
public enum ProtocolCatalog {
  public static let all: [IngestProtocol] = [
    PixelProtocol.declaration,
    SegmentProtocol.declaration,
    PostHogProtocol.declaration,
    GA4Protocol.declaration,
    SnowplowProtocol.declaration,
    MatomoProtocol.declaration,
    CloudEventsProtocol.declaration,
    BeaconProtocol.declaration,
    RedirectProtocol.declaration,
  ]

  /// The same with what the configuration adds.
  static func all(_ snowplowPaths: SnowplowPaths) -> [IngestProtocol] {
    var all = all
    for index in all.indices where all[index].name == SnowplowProtocol.name {
      all[index].endpoints += SnowplowProtocol.endpoints(at: snowplowPaths)
    }
    return all
  }
}
