// Numbers that mean nothing (999, and the last below Parley's own) must give ENOSYS.
    .globl _start
    .set ENOSYS, 38
    .text
_start:
    mov $999, %eax
    syscall
    cmp $-ENOSYS, %rax
    jne failed
    mov $0xfff, %eax
    syscall
    cmp $-ENOSYS, %rax
    jne failed
    xor %edi, %edi
    jmp leave
failed:
    mov $1, %edi
leave:
    mov $60, %eax           // exit
    syscall
    hlt                     // not reached

    .section .note.GNU-stack, "", @progbits
