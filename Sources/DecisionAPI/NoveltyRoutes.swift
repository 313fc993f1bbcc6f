import Events
public import HTTPServer
public import Learning

/// What a conversion brings and how long people look, and whether that is like before: `GET /v1/novelties`, from memory.
///
///     ?site_id=default&campaign=spring     that campaign's series; without one the site's and all its campaigns'
public struct NoveltyRoutes: Sendable {
  private let novelties: @Sendable () -> ValueNovelties?
  private let check: @Sendable (HTTPRequest) throws(Problem) -> Void

  /// - Parameters:
  ///   - novelties: the newest; nil where no bin is over yet.
  ///   - check: refuses requests of those who may not read.
  public init(
    novelties: @escaping @Sendable () -> ValueNovelties?,
    check: @escaping @Sendable (HTTPRequest) throws(Problem) -> Void
  ) {
    self.novelties = novelties
    self.check = check
  }

  public func declare(on routes: inout Routes) {
    routes.on(.get, "/v1/novelties") { request in
      try check(request)
      let fields = try LearnedQuery.fields(request, ["site_id", "campaign"])
      guard let novelties = novelties() else {
        throw Problem(
          .notFound, code: "no_novelties",
          detail: "No five minutes are over since the log began to be read; ask again in some.")
      }
      let site = fields["site_id"] ?? "default"
      let series = novelties.series.filter { series in
        series.key.site == site && fields["campaign"].map { $0 == series.key.campaign } ?? true
      }
      return HTTPResponse.json(Self.json(series, novelties))
    }
  }

  static func json(_ series: [ValueNovelties.Series], _ novelties: ValueNovelties) -> [UInt8] {
    var json = JSONWriter(reserving: 4_096)
    json.beginObject()
    json.key("series")
    json.beginArray()
    for series in series {
      json.beginObject()
      json.key("campaign")
      json.string(series.key.campaign)
      json.key("quantity")
      json.string(series.key.quantity.rawValue)
      json.key("currency")
      json.string(series.key.currency)
      json.key("bins")
      json.integer(series.count)
      json.key("last")
      write(series.last, to: &json)
      json.key("anomaly")
      if let anomaly = series.anomaly {
        write(anomaly, isFresh: novelties.isFresh(series), to: &json)
      } else {
        json.null()
      }
      json.endObject()
    }
    json.endArray()
    LearnedQuery.write(novelties.progress, to: &json)
    json.endObject()
    return json.bytes
  }

  private static func write(_ point: ValueNovelties.Point, to json: inout JSONWriter) {
    json.beginObject()
    writeMembers(point, to: &json)
    json.endObject()
  }

  private static func writeMembers(_ point: ValueNovelties.Point, to json: inout JSONWriter) {
    json.key("start")
    json.string(Timestamp.format(point.start))
    json.key("value")
    json.double(point.value)
    json.key("usual")
    if let usual = point.usual { json.double(usual) } else { json.null() }
    json.key("novelty")
    json.double(point.novelty)
  }

  private static func write(
    _ anomaly: ValueNovelties.Anomaly, isFresh: Bool, to json: inout JSONWriter
  ) {
    json.beginObject()
    writeMembers(anomaly.point, to: &json)
    json.key("fresh")
    json.bool(isFresh)
    json.key("regards")
    json.beginArray()
    for regard in anomaly.regards {
      json.beginObject()
      json.key("regard")
      json.string(regard.name)
      json.key("share")
      json.double(regard.share)
      json.endObject()
    }
    json.endArray()
    json.endObject()
  }
}
