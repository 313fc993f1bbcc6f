import Collector
import Events
import Testing

@Suite("Consent")
struct ConsentGateTests {
  @Test("Who asks not to be tracked is not stored where the key honours it, and nobody else")
  func consent() throws {
    for (dnt, gpc) in [(false, false), (true, false), (false, true), (true, true)] {
      let key = WriteKey(
        key: "k", site: "s",
        policy: KeyPolicy(honoursDoNotTrack: dnt, honoursGlobalPrivacyControl: gpc),
        mapping: CompiledMapping(standardMapping))
      let headers: [([String: String], GateVerdict)] = [
        ([:], .pass), (["dnt": "0"], .pass), (["sec-gpc": "0"], .pass),
        (["dnt": "1"], dnt ? .drop(reason: "do_not_track") : .pass),
        (["sec-gpc": "1"], gpc ? .drop(reason: "global_privacy_control") : .pass),
      ]
      for (fields, verdict) in headers {
        var event = try #require(
          try read("/p.gif", query: "k=dev&uid=u&eid=1").events.first)
        let facts = RequestFacts(userAgent: "", clientAddress: "", header: { fields[$0] })
        #expect(try ConsentGate().admit(&event, facts, key) == verdict, "\(fields)")
        let refused = ConsentGate().clean(
          try #require(try read("/p.gif", query: "k=dev&t=x").refused), facts, key,
          protocolName: "pixel")
        #expect(refused.body.isEmpty == (verdict != .pass))
      }
    }
  }
}
