import Collector
import Events
import Testing

/// What every protocol that can say it makes of the end of a link, and what tells copies apart.
@Suite("Identity of events")
struct IdentityEventTests {
  private func beacon(_ event: String) throws -> Reading {
    try read("POST /v1/e", body: Array(#"{"k":"dev","e":[\#(event)]}"#.utf8))
  }

  private func segment(_ event: String) throws -> Reading {
    try read("POST /v1/batch", body: Array(#"{"writeKey":"dev","batch":[\#(event)]}"#.utf8))
  }

  private func cloudEvent(_ attributes: String) throws -> Reading {
    try read(
      "POST /v1/cloudevents", query: "k=dev",
      body: Array(#"{"specversion":"1.0","id":"1","source":"/s",\#(attributes)}"#.utf8))
  }

  @Test("An unlink names the anonymous id, and the user whose it was where that is said")
  func unlinks() throws {
    let readings = [
      try read("GET /p.gif", query: "k=dev&t=unlink&aid=a1&uid=ann&eid=e1"),
      try beacon(#"{"t":"unlink","aid":"a1","uid":"ann","eid":"e1"}"#),
      try segment(
        #"{"type":"track","event":"Identity Unlinked","anonymousId":"a1","userId":"ann"}"#),
      try cloudEvent(#""type":"org.example.unlink","anonymousid":"a1","userid":"ann""#),
    ]
    for reading in readings {
      let event = try #require(reading.events.first, "\(String(describing: reading.rejected))")
      #expect(event.kind == .unlink, "\(event.source)")
      #expect(event.person == EventIdentity.personKey(site: "default", id: "a1"))
      #expect(event.user == EventIdentity.personKey(site: "default", id: "ann"))
    }
    let alone = try beacon(#"{"t":"unlink","aid":"a1","eid":"e1"}"#)
    #expect(alone.events.first?.user == .zero)
  }

  @Test("Protocols without a word for it say it by a name of the mapping")
  func named() throws {
    let readings = [
      try read(
        "POST /e/",
        body: Array(
          #"""
          {"api_key":"dev","event":"Identity Unlinked","distinct_id":"ann","properties":
          {"$device_id":"0123456789abcdef","$is_identified":true}}
          """#.utf8)),
      try read(
        "POST /i/v0/e/",
        body: Array(
          #"""
          {"api_key":"dev","event":"Identity Unlinked","distinct_id":"0123456789abcdef",
          "properties":{"$is_identified":false}}
          """#.utf8)),
      try read(
        "GET /i",
        query: "e=se&aid=dev&duid=0123456789abcdef&uid=ann&se_ca=account&se_ac=Identity%20Unlinked"),
      try read(
        "GET /matomo.php",
        query: "idsite=dev&rec=1&_id=0123456789abcdef&uid=ann&e_c=account&e_a=Identity%20Unlinked"),
    ]
    for reading in readings {
      let event = try #require(reading.events.first, "\(String(describing: reading.rejected))")
      #expect(event.kind == .unlink, "\(event.source) \(event.name)")
      #expect(event.person == EventIdentity.personKey(site: "default", id: "0123456789abcdef"))
      let user = EventIdentity.personKey(site: "default", id: "ann")
      #expect(event.user == user || event.user == .zero)
    }
  }

  @Test("An unlink without an anonymous id is refused")
  func nobody() throws {
    let readings = [
      try beacon(#"{"t":"unlink","uid":"ann","eid":"e1"}"#),
      try segment(#"{"type":"track","event":"Identity Unlinked","userId":"ann"}"#),
      try cloudEvent(#""type":"org.example.unlink","userid":"ann""#),
    ]
    for reading in readings {
      #expect(reading.events.isEmpty && reading.refusals.map(\.code) == [.noIdentity])
    }
  }

  @Test("A copy that was sent again has the fingerprint of the first, another event has another")
  func fingerprints() throws {
    func print(_ reading: Reading) throws -> UInt32 {
      try #require(reading.events.first).fingerprint
    }
    // The same event with another time of sending, then another event with its id.
    let stories: [(first: Reading, copy: Reading, other: Reading)] = [
      (
        try read(
          "POST /v1/track",
          body: Array(
            #"{"writeKey":"dev","messageId":"m","event":"x","userId":"u","sentAt":"1"}"#.utf8)),
        try read(
          "POST /v1/track",
          body: Array(
            #"{"writeKey":"dev","messageId":"m","event":"x","userId":"u","sentAt":"2"}"#.utf8)),
        try read(
          "POST /v1/track",
          body: Array(
            #"{"writeKey":"dev","messageId":"m","event":"y","userId":"u","sentAt":"1"}"#.utf8))
      ),
      (
        try read("GET /i", query: "aid=dev&e=pv&eid=1&duid=d&stm=1795424400000"),
        try read("GET /i", query: "aid=dev&e=pv&eid=1&duid=d&stm=1795424401000"),
        try read("GET /i", query: "aid=dev&e=pv&eid=1&duid=e&stm=1795424400000")
      ),
      (
        try read(
          "POST /e/",
          body: Array(
            #"{"api_key":"dev","event":"x","distinct_id":"u","uuid":"1","offset":100}"#.utf8)),
        try read(
          "POST /e/",
          body: Array(
            #"{"api_key":"dev","event":"x","distinct_id":"u","uuid":"1","offset":2100}"#.utf8)),
        try read(
          "POST /e/",
          body: Array(
            #"{"api_key":"dev","event":"y","distinct_id":"u","uuid":"1","offset":100}"#.utf8))
      ),
      (
        try beacon(#"{"t":"click","aid":"a","eid":"e1"}"#),
        try beacon(#"{"t":"click","aid":"a","eid":"e1"}"#),
        try beacon(#"{"t":"view","aid":"a","eid":"e1"}"#)
      ),
    ]
    for story in stories {
      let (first, copy, other) = (
        try print(story.first), try print(story.copy), try print(story.other)
      )
      let source = story.first.events.first?.source ?? ""
      #expect(first == copy && first != other && first != 0, "\(source)")
      #expect(story.first.events.first?.key == story.other.events.first?.key, "\(source)")
    }
  }
}
