"""Which kinds of teachers can teach which kinds of students under each method, derived from what the terms declare."""

from collections.abc import Collection, Mapping, Sequence

from recbole_kd.backbone.capabilities import (
    FACTOR_MODEL,
    RANK_LISTS,
    SCORER,
    SCORER_MODEL,
    SEQUENCE_MODEL,
    Capability,
)
from recbole_kd.config.schema import method_names, term_names
from recbole_kd.term import get_term

# kinds of students, by what a query is and what can be read
STUDENTS: dict[str, Capability] = {
    "users, factors": FACTOR_MODEL,  # BPR, LightGCN, CKE
    "users, scores": SCORER_MODEL,  # NeuMF, MultiVAE, KGCN
    "sequences, vectors": SEQUENCE_MODEL,  # SASRec, GRU4Rec
    "sequences, scores": SCORER_MODEL,  # FPMC, RepeatNet
}
# kinds of teachers; a sequence teacher of users has a vector for each of them, that of the latest sequence
TEACHERS: dict[str, Capability] = {
    "lists": RANK_LISTS,  # a file
    "scores": SCORER,  # EASE, ItemKNN, MultiVAE
    "vectors": FACTOR_MODEL,  # BPR, LightGCN, SASRec
}
ANY, NONE, UNKNOWN = "any", "-", "as its terms"


def teachers_that_work(
    teacher_needs: Capability, student_needs: Capability, student: Capability, is_sequential: bool
) -> list[str]:
    """The kinds of teachers under which a student of one kind can be distilled.

    Args:
        teacher_needs: what a method reads of the teacher.
        student_needs: what it reads of the student.
        student: what the student has.
        is_sequential: whether the student's queries are sequences. A step then reads the teacher's vectors of its own
            rows, so that no teacher has a table of all queries.

    Returns:
        Names of TEACHERS, in their order; empty where the student itself lacks something.

    >>> teachers_that_work(Capability.RANKS | Capability.SCORES, Capability.SCORES, SCORER_MODEL, is_sequential=True)
    ['scores', 'vectors']
    """
    if student_needs not in student:
        return []
    hidden = Capability.USER_TABLE if is_sequential else Capability(0)
    return [name for name, capabilities in TEACHERS.items() if teacher_needs in capabilities & ~hidden]


def family_row(needs: Sequence[tuple[Capability, Capability]]) -> list[str]:
    """One row of the table: for each kind of students the kinds of teachers that work.

    Args:
        needs: for each term what it reads of the teacher and of the student; empty where the terms are not known.
    """
    if not needs:
        return [UNKNOWN] * len(STUDENTS)
    teacher = student = Capability(0)
    for of_teacher, of_student in needs:
        teacher, student = teacher | of_teacher, student | of_student
    cells = []
    for name, capabilities in STUDENTS.items():
        works = teachers_that_work(teacher, student, capabilities, name.startswith("sequences"))
        cells.append(ANY if len(works) == len(TEACHERS) else ", ".join(works) or NONE)
    return cells


def method_family_table(broken: Collection[str] = ()) -> Mapping[str, list[str]]:
    """Each method's row, a cell for each of STUDENTS, under the default settings of the methods.

    Args:
        broken: names of methods that cannot be loaded, which are left out.
    """
    rows = {}
    for method in method_names():
        if method not in broken:
            terms = [get_term(name) for name in term_names(method)]
            rows[method] = family_row([(term.teacher_needs, term.student_needs) for term in terms])
    return rows
