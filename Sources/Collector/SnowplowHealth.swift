import HTTPServer

/// What Snowplow's collector says of itself, for load balancers that ask as they are used to: `GET /health`, and
/// `GET /sink-health`, which is 503 while events can be kept nowhere.
extension IngestRoutes {
  func addSnowplowHealth(to routes: inout Routes) {
    let well = PreparedResponse(
      status: .ok, headers: [(name: "Content-Type", value: "text/plain")], body: Array("ok".utf8))
    routes.fast(.get, "/health") { _, _ in FastResponse(well) }
    routes.fast(.get, "/sink-health") { [pipeline, overloaded] _, _ in
      let takesEvents = pipeline.logIsReachable || pipeline.spoolState?.takesFrames == true
      return FastResponse(takesEvents && !pipeline.isSaturated ? well : overloaded)
    }
  }
}
