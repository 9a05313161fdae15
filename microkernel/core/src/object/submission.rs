//! Submissions: calls whose answer arrives later as an event, and cancellations on their way.
//!
//! Both are news that must be kept until a server receives it, so both are objects that somebody pays
//! for: a submission the submitter, a cancellation the endpoint that it is for.

use parley_abi::{Errno, Token, Words, event};

use crate::kernel::Core;
use crate::mem::{Cursor, Object, Ref, Slab};
use crate::object::{Binding, Endpoint, Event, Quota};
use crate::sched::SUPERVISOR;

/// Set in the thread number of a token that names a submission.
pub const SUBMITTED: u32 = 1 << 31;

/// How far a submission is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Stage {
    /// A request that waits to be received.
    #[default]
    Sent,
    /// Received, and not yet answered.
    Taken,
    /// Answered: DONE for the submitter.
    Answered,
    /// CANCEL for the server that holds the token.
    Cancel,
}

/// A submission, or a cancellation.
#[derive(Default)]
pub struct Submission {
    /// How far it is.
    pub stage: Stage,
    /// Of the request, later of the answer.
    pub label: u32,
    /// Of the request, later of the answer.
    pub words: Words,
    /// Badge of the connection it was sent on.
    pub badge: u64,
    /// The submitter's name for it; the token of a cancellation.
    pub cookie: u64,
    /// Whose request it is now, and who may answer it.
    pub server: Ref<Endpoint>,
    /// Where the answer goes.
    pub submitter: Ref<Endpoint>,
    /// Who pays.
    pub quota: Ref<Quota>,
}

impl Object for Submission {
    const WINDOW: u64 = 8;
}

impl Core {
    /// Keeps a request to `server` that `submitter` will hear the answer of. ENOMEM. ENOSYS: the server
    /// is resident, and answers at once: call it.
    pub fn submit(&mut self, new: Submission) -> Result<(), Errno> {
        let Submission { server, quota, .. } = new;
        let target = self.endpoints.get(server).filter(|target| !target.is_dying()).ok_or(Errno::ESTALE)?;
        if matches!(target.binding, Binding::Resident(_)) {
            return Err(Errno::ENOSYS);
        }
        let at = self.insert_submission(quota, new)?;
        self.append(server, at);
        self.endpoint_has_event(server, SUPERVISOR);
        Ok(())
    }

    /// Tells the server that the caller of `token` no longer waits. Without memory for the news, the
    /// server finds out when it answers.
    pub fn send_cancel(&mut self, server: Ref<Endpoint>, token: Token) {
        let Some(endpoint) = self.endpoints.get(server) else { return };
        let quota = endpoint.quota;
        let news = Submission { stage: Stage::Cancel, cookie: token.0, server, quota, ..Submission::default() };
        if let Ok(at) = self.insert_submission(quota, news) {
            self.append(server, at);
            self.endpoint_has_event(server, SUPERVISOR);
        }
    }

    /// A request that was received waits to be received again.
    pub fn requeue_submission(&mut self, server: Ref<Endpoint>, at: Ref<Submission>) {
        self.submissions[at].stage = Stage::Sent;
        self.append(server, at);
    }

    fn insert_submission(&mut self, quota: Ref<Quota>, new: Submission) -> Result<Ref<Submission>, Errno> {
        let cost = Slab::<Submission>::COST;
        self.quotas.pay_for(quota, cost, &mut self.submissions, &mut self.frames, |slot| *slot = new)
    }

    fn append(&mut self, to: Ref<Endpoint>, at: Ref<Submission>) {
        self.endpoints[to].events.push(&mut self.submissions, at);
    }

    /// The endpoint's next submission event, if there is one.
    pub fn next_submission(&mut self, endpoint: Ref<Endpoint>) -> Option<Event> {
        let at = self.endpoints[endpoint].events.pop(&mut self.submissions)?;
        let news = &mut self.submissions[at];
        let Submission { stage, label, words, badge, cookie, .. } = *news;
        let token = Token(cookie);
        match stage {
            Stage::Sent | Stage::Taken => {
                news.stage = Stage::Taken;
                let token = Token::new(at.place | SUBMITTED, at.generation);
                Some(Event { kind: event::REQUEST, label, words, token, badge })
            }
            Stage::Answered => {
                self.destroy_submission(at);
                Some(Event { kind: event::DONE, label, words, token, badge: 0 })
            }
            Stage::Cancel => {
                self.destroy_submission(at);
                Some(Event { token, ..Event::of(event::CANCEL) })
            }
        }
    }

    /// Answers a submission. ESTALE: there is none of that token for this server.
    pub fn answer_submission(
        &mut self,
        server: Ref<Endpoint>,
        token: Token,
        label: u32,
        words: Words,
    ) -> Result<(), Errno> {
        let at = self.submissions.at_place(token.thread() & !SUBMITTED);
        let at = at.filter(|at| at.generation == token.generation()).ok_or(Errno::ESTALE)?;
        let news = self.submissions.get_mut(at).filter(|news| news.server == server && news.stage == Stage::Taken);
        let news = news.ok_or(Errno::ESTALE)?;
        (news.stage, news.label, news.words) = (Stage::Answered, label, words);
        let submitter = news.submitter;
        if self.endpoints.get(submitter).is_none() {
            self.destroy_submission(at);
            return Ok(());
        }
        self.append(submitter, at);
        self.endpoint_has_event(submitter, SUPERVISOR);
        Ok(())
    }

    /// Frees a submission that is in no list, or whose list has become unreachable.
    pub fn destroy_submission(&mut self, at: Ref<Submission>) {
        let Some(news) = self.submissions.get(at) else { return };
        let (quota, holder) = (news.quota, if news.stage == Stage::Answered { news.submitter } else { news.server });
        if let Some(endpoint) = self.endpoints.get_mut(holder).filter(|it| it.events.contains(&self.submissions, at)) {
            endpoint.events.remove(&mut self.submissions, at);
        }
        self.submissions.remove(at);
        self.quotas.refund(quota, Slab::<Submission>::COST);
    }

    /// Looks on for submissions that an endpoint under destruction is part of, and drops the next. False:
    /// there is none.
    pub fn drop_submission_of(&mut self, endpoint: Ref<Endpoint>, cursor: &mut Cursor) -> bool {
        let part = |news: &Submission| news.server == endpoint || news.submitter == endpoint;
        cursor.step(&self.submissions, part).act(|at| self.destroy_submission(at))
    }
}
